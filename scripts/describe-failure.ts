import { ConfigurationError } from '../shared/errors.ts'

/**
 * What to print of an error: one line for what the environment or a server has to say, all of it
 * for a bug of ours.
 */
export function describeFailure(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  // A name with two addresses that both refuse: the message is empty.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ')
  const isOurs = !(error instanceof ConfigurationError) && !('code' in error)
  return isOurs ? error : error.message
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
