import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const current = new AsyncLocalStorage<string>()

/** The id of the request on whose behalf this code runs, while `debug` is logged; for the logger. */
export const currentRequestId = (): string | undefined => current.getStore()

/** Runs what a request causes, so that every line logged meanwhile carries its id. */
export const withRequestId = <T>(id: string, run: () => T): T => current.run(id, run)

/** The id given by a proxy that is believed, or a new one. */
export function requestIdOf(req: IncomingMessage, isBehindProxy: boolean): string {
  const given = isBehindProxy ? req.headers['x-request-id'] : undefined
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
}
