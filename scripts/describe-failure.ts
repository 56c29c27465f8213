import { ConfigurationError } from '../shared/errors.ts'

/**
 * Returns what to print for an error: only the message for a configuration or server error, the
 * whole error for a bug.
 */
export function describeFailure(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  // If two addresses of a host both refuse the connection, the message is empty.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ')
  const isOurs = !(error instanceof ConfigurationError) && !('code' in error)
  return isOurs ? error : error.message
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
