import type { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'
import { ConfigurationError } from './errors.ts'

export interface ListenOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** The setting to name when the port is taken. */
  readonly setting: string
}

/**
 * Makes a server listen, and answers the port.
 * @throws ConfigurationError when the address cannot be had.
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

/** The port of a server that listens on one. */
export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

const IDLE_SWEEP_MS = 50

/** Accepts no more, lets running requests finish, and closes connections as they fall idle. */
export function closeServer(server: HttpServer): Promise<void> {
  server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'))
  // A keep-alive connection that was busy when `close` ran would otherwise stay for its time-out.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
  return new Promise((resolve) => {
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
  })
}
