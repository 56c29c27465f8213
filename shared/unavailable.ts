import { type Transience, transienceMessage, transienceOf } from '../db/transient-states.ts'

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

/** What pg says without a code when a connection was not to be had, or was lost. */
const MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error|Client was closed)/

/** Whether a query failed because Postgres could not do it now: another time it may succeed. */
export const isUnavailable = (error: unknown): boolean => reasonOf(error) !== undefined

/** What a client is told of such a failure; undefined for any other. */
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
