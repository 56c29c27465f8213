import type { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'
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
