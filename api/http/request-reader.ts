import type { IncomingMessage } from 'node:http'
import type { Answer, Params, TimeBudget } from '../../shared/cache/index.ts'
import type { Reader, Resource } from '../../shared/resources/cache.ts'

/** Reads for requests. All reads of one request share one time budget for Redis. */
export interface RequestReader extends Pick<Reader, 'query'> {
  read(req: IncomingMessage, resource: Resource, params: Params, variant: string): Promise<Answer>
  /** Returns the time budget for Redis of a request. */
  budgetOf(req: IncomingMessage): TimeBudget
}

// A property of the request, because an async context costs a cache hit 20 %.
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
