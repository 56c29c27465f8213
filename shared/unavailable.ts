/** SQLSTATEs of a Postgres that is going, gone, coming or full; the rest are the query's fault. */
const STATES = /^(08\d{3}|57P0[1-3]|53300)$/

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

/** Whether a query failed because Postgres could not be reached: another time it may succeed. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isUnavailable)
  if (!(error instanceof Error)) return false
  const { code } = error as NodeJS.ErrnoException
  return code === undefined
    ? MESSAGES.test(error.message)
    : STATES.test(code) || SYSTEM_CODES.has(code)
}
