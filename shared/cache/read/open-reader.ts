import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import { compileRules } from '../definition/compile.ts'
import type { ResourceRules } from '../definition/resource.ts'
import { createBucketedStore } from '../entry-store/bucketed-store.ts'
import { createEntryStore, type EntryStore } from '../entry-store/entry-store.ts'
import { createFreshnessPolicy } from '../freshness/freshness-policy.ts'
import { IncarnationTracker, trackIncarnation } from '../freshness/incarnation-tracker.ts'
import type { Instruments } from '../instruments.ts'
import { type Buckets, openBuckets } from '../redis/buckets.ts'
import { createDenialLog } from '../redis/denials.ts'
import { measureRedis } from '../redis/metrics.ts'
import { type ProcessIdentity, runReportWriter } from '../processes/process-reports.ts'
import { createLoader, type LimitedLoader } from './loader.ts'
import { createCacheMetrics } from './metrics.ts'
import { createReader, type Reader, type ReaderDeps } from './reader.ts'
import { createUncachedReader } from './uncached-reader.ts'

export interface OpenReaderOptions<DB> extends Pick<
  ReaderDeps<DB>,
  | 'prefix'
  | 'currentConsistencyTokens'
  | 'isCached'
  | 'redisBudgetMs'
  | 'maxValueBytes'
  | 'compression'
> {
  /** Connections to the primary. The caller closes them after the reader. */
  readonly db: Kysely<DB>
  /** Without it, Redis is not used: every read loads from Postgres. */
  readonly redisUrl?: string | undefined
  /** Its name in Redis. */
  readonly applicationName: string
  /** All resources, also those that are not cached: queries may read their tables. */
  readonly catalog: readonly ResourceRules[]
  readonly instruments: Instruments
  readonly logger: Logger
  /** Appended to log messages about missing permissions of Redis. */
  readonly denialHint?: string
  /** Bound on staleness during failures, in ms. By default 10 s. */
  readonly maxStalenessMs?: number
  /** Time limit of one Redis command, in ms. By default 50. */
  readonly commandTimeoutMs?: number
  /** Loads that run at once, by default 8. Keep it below the size of the pool. */
  readonly loadConcurrency?: number
  /** Loads that may wait, by default 1000. */
  readonly loadQueue?: number
  /** With it, the process writes its counters to Redis for the console. */
  readonly identity?: Omit<ProcessIdentity, 'application'>
}

/** A reader with everything that it needs. Disposing closes its connections to Redis. */
export interface OpenedReader<DB> extends Disposable {
  readonly reader: Reader<DB>
  readonly loader: LimitedLoader<DB>
  readonly incarnationTracker: IncarnationTracker
  /** Null without `redisUrl`. */
  readonly buckets: Buckets | null
  /** Null without `redisUrl`. */
  readonly store: EntryStore | null
}

const MAX_STALENESS_MS = 10_000
const COMMAND_TIMEOUT_MS = 50
/** Added to the store's own timeout, which distinguishes a slow Redis from a busy process. */
const REDIS_BACKSTOP_MS = 2_000
const LOAD_CONCURRENCY = 8
const LOAD_QUEUE = 1_000

/**
 * Opens a reader. It connects in the background, so reads are correct at once and cached soon after.
 * @throws ConfigurationError for an address of Redis that cannot be used.
 */
export function openReader<DB>(options: OpenReaderOptions<DB>): OpenedReader<DB> {
  const { db, redisUrl, instruments, logger } = options
  const metrics = createCacheMetrics(instruments)
  const incarnationTracker = new IncarnationTracker()
  const loader = createLoader(db, {
    concurrency: options.loadConcurrency ?? LOAD_CONCURRENCY,
    queue: options.loadQueue ?? LOAD_QUEUE,
    incarnationTracker,
    tables: compileRules(options.catalog).tables.map(({ name }) => name),
  })
  if (redisUrl === undefined) {
    return {
      reader: createUncachedReader({ loader, metrics }),
      loader,
      incarnationTracker,
      buckets: null,
      store: null,
      [Symbol.dispose]() {},
    }
  }

  const { applicationName, prefix, denialHint, maxValueBytes } = options
  const { maxStalenessMs = MAX_STALENESS_MS, commandTimeoutMs = COMMAND_TIMEOUT_MS } = options
  const buckets = openBuckets(redisUrl, prefix, {
    name: applicationName,
    commandTimeoutMs: REDIS_BACKSTOP_MS + commandTimeoutMs,
    onState(state, error) {
      if (state === 'up') logger.info('Redis connected')
      else if (state === 'down') logger.warn('Redis unreachable', { error })
      else logger.error('unsupported Redis', { error })
    },
  })
  measureRedis(buckets, instruments)
  const store = openStore(buckets, {
    commandTimeoutMs,
    ...(maxValueBytes !== undefined && { maxValueBytes }),
    metrics: metrics.store,
    onState: (isUsable) => logger.info(isUsable ? 'cache in use' : 'cache not in use'),
    onDenied: createDenialLog(logger, denialHint),
  })
  const stopping = new AbortController()
  const { identity } = options
  if (identity !== undefined) {
    const deps = { buckets, instruments, application: applicationName, ...identity }
    void runReportWriter(deps, stopping.signal)
  }
  void trackIncarnation(db, incarnationTracker, stopping.signal, (error) =>
    logger.warn('cannot begin an incarnation of the database; storing nothing in Redis', { error }),
  )
  const reader = createReader({
    ...options,
    store,
    loader,
    metrics,
    freshnessPolicy: createFreshnessPolicy({ maxStalenessMs, incarnationTracker }),
    onFillError: (error) => logger.debug('could not store a value in Redis', { error }),
  })
  return {
    reader,
    loader,
    incarnationTracker,
    buckets,
    store,
    [Symbol.dispose]() {
      stopping.abort()
      store[Symbol.dispose]()
      buckets[Symbol.dispose]()
    },
  }
}

/** Opens the store of one server, without the cost of buckets, or that of several buckets. */
function openStore(
  buckets: Buckets,
  options: Parameters<typeof createBucketedStore>[1],
): EntryStore & Disposable {
  const [redis] = buckets.servers
  return buckets.count === 1 && redis !== undefined
    ? createEntryStore(redis, { ...options, prefix: buckets.prefixOf(0) })
    : createBucketedStore(buckets, options)
}
