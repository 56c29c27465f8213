import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import { Client } from 'pg'
import { findFreePort } from '../../scripts/servers/port.ts'

/** A transaction-mode pooler in front of Postgres. */
export interface TransactionPooler extends AsyncDisposable {
  /** URL that replaces the server's. */
  readonly url: string
}

/** An authenticated connection to Postgres, and the client that currently uses it. */
interface Backend {
  readonly socket: Socket
  holder: Socket | null
}

const AUTHENTICATED = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0])
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])
const TERMINATE = 0x58

/** Starts a pooler. It authenticates no client, and supports only simple queries with small results. */
export async function startTransactionPooler(serverUrl: string): Promise<TransactionPooler> {
  const backends: Backend[] = []
  const clients = new Set<Socket>()

  async function take(holder: Socket): Promise<Backend> {
    const held = backends.find((backend) => backend.holder === holder)
    if (held) return held
    const idle = backends.find((backend) => backend.holder === null)
    if (idle) return Object.assign(idle, { holder })
    const opened = await openBackend(serverUrl, holder)
    backends.push(opened)
    return opened
  }

  const server = createServer((socket) => {
    clients.add(socket)
    socket.on('error', () => {})
    // Closes the backend with its client: the next client would inherit an open transaction.
    socket.on('close', () => {
      clients.delete(socket)
      const held = backends.findIndex(({ holder }) => holder === socket)
      if (held >= 0) backends.splice(held, 1)[0]?.socket.destroy()
    })
    let sent = Promise.resolve()
    socket.once('data', () => {
      socket.write(Buffer.concat([AUTHENTICATED, READY]))
      socket.on('data', (message) => {
        if (message[0] === TERMINATE) return
        // Keeps the order of messages while a connection is being opened.
        sent = sent
          .then(async () => void (await take(socket)).socket.write(message))
          .catch(() => void socket.destroy())
      })
    })
  })
  const port = await findFreePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')

  const url = new URL(serverUrl)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      for (const socket of clients) socket.destroy()
      server.close()
      for (const { socket } of backends) socket.destroy()
      await once(server, 'close')
    },
  }
}

async function openBackend(url: string, holder: Socket): Promise<Backend> {
  const socket = new Socket()
  const client = new Client({ connectionString: url, stream: () => socket })
  client.on('error', () => {})
  await client.connect()
  const backend: Backend = { socket, holder }
  // From now on the bytes are forwarded to the client that uses the connection.
  socket.removeAllListeners('data')
  socket.on('data', (answer) => {
    backend.holder?.write(answer)
    if (answer.subarray(-READY.length).equals(READY)) backend.holder = null
  })
  return backend
}
