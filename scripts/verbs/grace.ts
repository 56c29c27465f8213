import { MAX_STALENESS_MS } from '../../shared/config.ts'

/** Time until every invalidator has checked the triggers and every API has polled the watermarks again. */
const NOTICED_MS = 3_000

/**
 * Returns the milliseconds after which no process reads entries that are no longer invalidated.
 * Running invalidators disable them earlier; without one, the staleness bound has to pass.
 */
export const graceMs = (environment: NodeJS.ProcessEnv) =>
  Number(environment.MAX_STALENESS_MS || MAX_STALENESS_MS) + NOTICED_MS
