import { once } from 'node:events'
import { createServer } from 'node:net'
import { errorCode } from '../error-code.ts'

/** A port that is free now. Somebody may take it before its user does, so starting may be retried. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a port')
  server.close()
  await once(server, 'close')
  return address.port
}

/** Why nobody can listen there, such as `EADDRINUSE`, or `undefined` when somebody can. */
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
