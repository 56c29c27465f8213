import { errorCode } from '../../db/event-log/index.ts'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Returns a port that is free now. Another process may take it first, so callers retry. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a port')
  server.close()
  await once(server, 'close')
  return address.port
}

/** Returns the error code of listening on a port, such as `EADDRINUSE`; undefined if it is free. */
export async function listenError(host: string, port: number): Promise<string | undefined> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    return errorCode(error) ?? String(error)
  }
  server.close()
  await once(server, 'close')
  return undefined
}
