import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A TCP proxy in front of a server that can refuse, delay or drop traffic. */
export interface Proxy extends AsyncDisposable {
  /** The server's URL with the proxy's port. */
  readonly url: string
  /** Delay of every reply. */
  delayMs: number
  /** Makes all current connections half-open: they stay open, and the proxy drops their traffic. */
  swallow(): void
  /** Begins to accept connections. */
  listen(): Promise<void>
  /** Closes all connections, and forwards new ones to another server, as after a failover. */
  lead(target: string): void
}

/** Creates a proxy on loopback. It refuses connections until `listen()`. */
export async function createProxy(target: string): Promise<Proxy> {
  let address = new URL(target)
  const sockets = new Set<Socket>()
  let swallowed = 0
  const server = createServer((client) => {
    const upstream = connect(Number(address.port), address.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    const generation = swallowed
    client.on('data', (bytes) => generation === swallowed && upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (generation !== swallowed) return
      // Timers of equal length fire in the order of their creation, so replies stay in order.
      if (proxy.delayMs === 0) client.write(bytes)
      else void sleep(proxy.delayMs).then(() => client.destroyed || client.write(bytes))
    })
  })
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })

  // Finds a free port, and closes it again.
  await listen(0)
  const port = (server.address() as AddressInfo).port
  await new Promise<void>((resolve) => server.close(() => resolve()))
  const url = new URL(target)
  url.port = String(port)

  const proxy: Proxy = {
    url: url.href,
    delayMs: 0,
    swallow: () => void swallowed++,
    listen: () => listen(port),
    lead(target) {
      address = new URL(target)
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return proxy
}
