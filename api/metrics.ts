import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Kysely } from 'kysely'
import type { Registry } from 'prom-client'
import { poolUse } from '../db/event-log/index.ts'
import type { Database } from '../db/schema.ts'
import { ageMsOf, type EntryStore, type IncarnationTracker } from '../shared/cache/index.ts'
import { type Outcome, outcomeOf } from './http/outcome.ts'
import { createAppInstruments } from '../shared/metrics.ts'
import type { LimitedLoader } from '../shared/resources/cache.ts'

/** Counts a request and measures its duration. Call it when the request arrives. */
export type RequestCounter = (req: IncomingMessage, res: ServerResponse) => void

const REQUEST_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const OUTCOMES: readonly Outcome[] = ['hit', 'miss', 'stale', 'bypass', 'none']

/**
 * Creates the request metrics. The label `route` is the pattern of a route, not the path: the number
 * of paths is unbounded. It is `none` for unknown paths and for requests that middleware rejected.
 */
export function createRequestCounter(registry: Registry): RequestCounter {
  const { tally, timings } = createAppInstruments(registry)
  const requests = tally(
    'http_requests_total',
    'Requests; status 499: the client disconnected before the response was complete',
    'route',
    'method',
    'status',
    'cache',
  )
  const seconds = timings(
    'http_request_duration_seconds',
    'From the arrival of a request to the end of its response',
    REQUEST_S,
    'cache',
  )
  const durations = new Map(OUTCOMES.map((outcome) => [outcome, seconds.of(outcome)]))

  return (req, res) => {
    const startedAtMs = performance.now()
    res.on('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : CLIENT_DISCONNECTED
      const outcome = outcomeOf(res)
      requests.of(routeOf(req), methodOf(req), status, outcome).n++
      if (status !== CLIENT_DISCONNECTED)
        durations.get(outcome)?.observe((performance.now() - startedAtMs) / 1000)
    })
  }
}

const CLIENT_DISCONNECTED = '499'

/** Express sets `req.route` to the route that matched. */
const routeOf = (req: IncomingMessage & { readonly route?: { readonly path: unknown } }): string =>
  req.route === undefined ? 'none' : String(req.route.path)

const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const methodOf = ({ method = '' }: IncomingMessage): string =>
  KNOWN_METHODS.has(method) ? method : 'other'

export interface MeasuredParts {
  readonly db: Kysely<Database>
  readonly writeDb: Kysely<Database>
  readonly loader: LimitedLoader
  /** Null if the cache is disabled. */
  readonly store: EntryStore | null
  readonly incarnationTracker: Pick<IncarnationTracker, 'incarnation'>
  /** Names of the cached resources. */
  readonly resources: ReadonlySet<string>
}

/**
 * Registers gauges for database connections, loads, and the watermark ages that this process sees.
 */
export function measureParts(registry: Registry, parts: MeasuredParts): void {
  const { db, writeDb, loader, store, incarnationTracker, resources } = parts
  const { reading, sum } = createAppInstruments(registry)

  reading(
    'db_connections',
    'Connections to Postgres, and requests that wait for one',
    () =>
      Object.entries({ reads: db, writes: writeDb }).flatMap(([pool, of]) =>
        Object.entries(poolUse(of)).map(([state, count]) => [{ pool, state }, count] as const),
      ),
    'pool',
    'state',
  )
  reading(
    'loads',
    'Loads from Postgres that are running, and that are queued',
    () => (['running', 'waiting'] as const).map((state) => [{ state }, loader[state]] as const),
    'state',
  )
  sum('loads_rejected_total', 'Loads rejected because the queue was full', () => loader.rejected)

  if (store === null) return
  reading(
    'cache_watermark_age_seconds',
    'Age of the watermark as this process sees it; infinite without a watermark of its own database',
    () =>
      [...resources].flatMap((resource) => {
        const ages = store.states(resource).flatMap(({ mark, nowMs }) => {
          if (nowMs === null) return []
          const isOurs = mark !== null && mark.incarnation === incarnationTracker.incarnation
          return isOurs ? ageMsOf(mark, nowMs) / 1000 : Infinity
        })
        return ages.length === 0 ? [] : [[{ resource }, Math.max(...ages)] as const]
      }),
    'resource',
  )
}
