import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const current = new AsyncLocalStorage<string>()

/** Returns the id of the current request for the logger; undefined unless `debug` is enabled. */
export const currentRequestId = (): string | undefined => current.getStore()

/** Runs the handling of a request, so that every line that it logs has the request id. */
export const withRequestId = <T>(id: string, run: () => T): T => current.run(id, run)

/** Returns the `X-Request-Id` of a trusted proxy, or a new id. */
export function requestIdOf(req: IncomingMessage, isBehindProxy: boolean): string {
  const given = isBehindProxy ? req.headers['x-request-id'] : undefined
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
}
