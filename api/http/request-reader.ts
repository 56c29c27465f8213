import type { IncomingMessage } from 'node:http'
import type { Answer } from '../../shared/cache/answer.ts'
import type { TimeBudget } from '../../shared/cache/time-budget.ts'
import type { Reader } from '../../shared/cache/reader.ts'
import type { Params, Resource } from '../../shared/cache/resource.ts'

/** Reads on behalf of requests. All that is read for one request shares its budget for Redis. */
export interface RequestReader extends Pick<Reader, 'query'> {
  read(req: IncomingMessage, resource: Resource, params: Params, variant: string): Promise<Answer>
  /** How long this request may still wait for Redis. */
  budgetOf(req: IncomingMessage): TimeBudget
}

// On the request itself: an async context would cost a fifth of a hit.
const BUDGET = Symbol('budget')

interface Budgeted extends IncomingMessage {
  [BUDGET]?: TimeBudget
}

export function createRequestReader(reader: Reader): RequestReader {
  const budgetOf = (req: Budgeted): TimeBudget => (req[BUDGET] ??= reader.openBudget())
  return {
    query: reader.query,
    budgetOf,
    read: (req, resource, params, variant) => reader.read(resource, params, variant, budgetOf(req)),
  }
}
