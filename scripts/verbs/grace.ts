import { MAX_STALENESS_MS } from '../../shared/config.ts'

/** The next inspection of the triggers by every invalidator, and the next poll of every API. */
const NOTICED_MS = 3_000

/**
 * How long it takes until nobody reads entries that an installation no longer keeps right: its
 * invalidators say so, or, where none runs, the staleness bound has passed.
 */
export const graceMs = (environment: NodeJS.ProcessEnv) =>
  Number(environment.MAX_STALENESS_MS || MAX_STALENESS_MS) + NOTICED_MS
