import type { ServerResponse } from 'node:http'
import type { Answer } from '../../shared/cache/index.ts'

/** Outcome of the cache for a response; `none` for responses without `Cache-Status`: writes, errors, redirects. */
export type Outcome = Answer['outcome'] | 'none'

const OUTCOME = Symbol('outcome')

interface WithOutcome extends ServerResponse {
  [OUTCOME]?: Outcome
}

/** Records the outcome of a response. */
export function recordOutcome(res: WithOutcome, outcome: Outcome): void {
  res[OUTCOME] = outcome
}

/** Returns the recorded outcome. */
export const outcomeOf = (res: WithOutcome): Outcome => res[OUTCOME] ?? 'none'
