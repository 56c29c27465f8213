import { type Transience, transienceMessage, transienceOf } from './transient-states.ts'

const SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
])

/** Messages of pg, without a code, for a connection that failed or was lost. */
const MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error|Client was closed)/

/** Returns whether a query failed because Postgres is unavailable: a later attempt may succeed. */
export const isUnavailable = (error: unknown): boolean => reasonOf(error) !== undefined

/** Returns the message for clients about such a failure; `undefined` for any other error. */
export function unavailableMessage(error: unknown): string | undefined {
  const reason = reasonOf(error)
  return reason && transienceMessage(reason)
}

function reasonOf(error: unknown): Transience | undefined {
  if (error instanceof AggregateError) {
    return error.errors.map(reasonOf).find((reason) => reason !== undefined)
  }
  if (!(error instanceof Error)) return undefined
  const { code } = error as NodeJS.ErrnoException
  const isAway = code === undefined ? MESSAGES.test(error.message) : SYSTEM_CODES.has(code)
  return isAway ? 'away' : transienceOf(error)
}
