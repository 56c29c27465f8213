import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const current = new AsyncLocalStorage<string>()

/** Returns the id of the current request for the logger; undefined unless `debug` is enabled. */
export const currentRequestId = (): string | undefined => current.getStore()

/** Runs the handling of a request, so that every line that it logs has the request id. */
export const withRequestId = <T>(id: string, run: () => T): T => current.run(id, run)

const ID = Symbol('request id')

interface Identified extends IncomingMessage {
  [ID]?: string
}

/** Returns the id that `chooseRequestId` chose; undefined if it did not run. */
export const requestIdOf = (req: Identified): string | undefined => req[ID]

/** Chooses the id of a request: the `X-Request-Id` of a trusted proxy, or a new one. */
export function chooseRequestId(req: Identified, isBehindProxy: boolean): string {
  const given = isBehindProxy ? req.headers['x-request-id'] : undefined
  const isValid = typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given)
  return (req[ID] = isValid ? given : randomUUID())
}
