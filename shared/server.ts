import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import { ConfigurationError } from './errors.ts'

export interface ListenOptions {
  readonly host: string
  /** 0 selects a free port. */
  readonly port: number
  /** Name of the setting, for the message if the port is taken. */
  readonly setting: string
}

/**
 * Makes a server listen, and returns the port.
 * @throws ConfigurationError if the server cannot listen on the address.
 */
export function listen(server: Server, { host, port, setting }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${error.code})`
      reject(
        new ConfigurationError(`${setting}: port ${port} on ${host} ${reason}`, { cause: error }),
      )
    })
    server.listen({ host, port }, () => {
      server.removeAllListeners('error')
      resolve(portOf(server))
    })
  })
}

/** Returns the port of a server that listens. @throws Error if it has none. */
export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/** How many requests of a connection may wait for the responses to those before them. */
const MAX_WAITING = 32

/**
 * Answers the requests of a connection one after another. A client may send a request before it has received the
 * response to the previous one. Node starts it at once, with a response that has no connection yet: if the client
 * then disconnects, that response never emits `close`, so its file, database connection or count is never released.
 * A connection on which too many requests wait is closed.
 */
export function oneAtATime<Req extends IncomingMessage, Res extends ServerResponse>(
  answer: (req: Req, res: Res) => void,
): (req: Req, res: Res) => void {
  const waiting = new WeakMap<Socket, number>()
  return (req, res) => {
    if (res.socket !== null) return answer(req, res)
    const { socket } = req
    const count = (waiting.get(socket) ?? 0) + 1
    if (count > MAX_WAITING) {
      socket.destroy()
      return
    }
    waiting.set(socket, count)
    res.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
      // Node is about to send what the response contains, so a response may not be completed in this event.
      process.nextTick(() => {
        if (!res.destroyed) answer(req, res)
      })
    })
  }
}

const IDLE_SWEEP_MS = 50

/**
 * Accepts no new connections, lets running requests finish, and closes connections when they are
 * idle.
 */
export function closeServer(server: HttpServer): Promise<void> {
  server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'))
  // A keep-alive connection that was busy when `close` ran would otherwise stay until its time-out.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
  return new Promise((resolve) => {
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
  })
}
