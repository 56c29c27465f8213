import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Kysely } from 'kysely'
import type { Registry } from 'prom-client'
import { poolUse } from '../db/database.ts'
import type { Database } from '../db/schema.ts'
import type { LimitedLoader } from '../shared/cache/loader.ts'
import type { IncarnationTracker } from '../shared/cache/incarnation-tracker.ts'
import type { EntryStore } from '../shared/cache/entry-store.ts'
import { ageMsOf } from '../shared/cache/watermark.ts'
import { createInstruments } from '../shared/instruments.ts'

/** Told of every request as it comes. */
export type RequestCounter = (req: IncomingMessage, res: ServerResponse) => void

const REQUEST_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** As in `Cache-Status`; `none` where the cache has no part: writes, errors, redirects. */
const OUTCOMES = ['hit', 'miss', 'stale', 'bypass', 'none'] as const
type Outcome = (typeof OUTCOMES)[number]

/**
 * Counts requests by the pattern of their route, never by their address: of those there is no end.
 * What no route took, and what was turned away before, has the route `none`.
 */
export function createRequestCounter(registry: Registry): RequestCounter {
  const { histogram, tally } = createInstruments(registry)
  const requests = tally(
    'spms_http_requests_total',
    'Requests; status 499: the client left before it was answered',
    'route',
    'method',
    'status',
    'cache',
  )
  const seconds = histogram(
    'spms_http_request_duration_seconds',
    'From a request to the end of its answer',
    REQUEST_S,
    'cache',
  )
  const taken = new Map(OUTCOMES.map((outcome) => [outcome, seconds.labels(outcome)]))

  return (req, res) => {
    const startedAtMs = performance.now()
    res.on('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : GONE
      const outcome = outcomeOf(res.getHeader('cache-status'))
      requests.of(routeOf(req), methodOf(req), status, outcome).n++
      if (status !== GONE) taken.get(outcome)?.observe((performance.now() - startedAtMs) / 1000)
    })
  }
}

const GONE = '499'

/** Express leaves the route that took a request on it. */
const routeOf = (req: IncomingMessage & { readonly route?: { readonly path: unknown } }): string =>
  req.route === undefined ? 'none' : String(req.route.path)

const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const methodOf = ({ method = '' }: IncomingMessage): string =>
  KNOWN_METHODS.has(method) ? method : 'other'

/** What the client was told. */
function outcomeOf(header: ReturnType<ServerResponse['getHeader']>): Outcome {
  if (typeof header !== 'string') return 'none'
  if (header.startsWith('spms; hit')) return 'hit'
  return OUTCOMES.find((outcome) => header.startsWith(`spms; fwd=${outcome}`)) ?? 'none'
}

export interface MeasuredParts {
  readonly db: Kysely<Database>
  readonly writeDb: Kysely<Database>
  readonly loader: LimitedLoader
  /** `null`: the cache is switched off. */
  readonly store: EntryStore | null
  readonly incarnationTracker: Pick<IncarnationTracker, 'incarnation'>
  /** The resources that are cached. */
  readonly resources: ReadonlySet<string>
}

/** Tells what an API process knows of its database and of how fresh the cache is, when it is asked. */
export function measureParts(registry: Registry, parts: MeasuredParts): void {
  const { db, writeDb, loader, store, incarnationTracker, resources } = parts
  const { reading, sum } = createInstruments(registry)

  reading(
    'spms_db_connections',
    'Connections to Postgres, and what waits for one',
    () =>
      Object.entries({ reads: db, writes: writeDb }).flatMap(([pool, of]) =>
        Object.entries(poolUse(of)).map(([state, count]) => [{ pool, state }, count] as const),
      ),
    'pool',
    'state',
  )
  reading(
    'spms_loads',
    'Reads from Postgres that run, and that wait for their turn',
    () => (['running', 'waiting'] as const).map((state) => [{ state }, loader[state]] as const),
    'state',
  )
  sum('spms_loads_rejected_total', 'Reads that found the queue full', () => loader.rejected)

  if (store === null) return
  reading(
    'spms_cache_watermark_age_seconds',
    'How long ago all that was committed had been applied, as far as this process sees; infinite without a watermark of its own database',
    () => {
      const nowMs = timeOf(store)
      if (nowMs === null) return []
      return [...resources].map((resource) => {
        const mark = store.watermark(resource)
        const isOurs = mark !== null && mark.incarnation === incarnationTracker.incarnation
        return [{ resource }, isOurs ? ageMsOf(mark, nowMs) / 1000 : Infinity] as const
      })
    },
    'resource',
  )
}

/** Redis' time; `null` while it does not answer. */
function timeOf(store: EntryStore): number | null {
  try {
    return store.now()
  } catch {
    return null
  }
}
