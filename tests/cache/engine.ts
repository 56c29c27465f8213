import { type Kysely, sql } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findIncarnation, install } from '../../db/event-log/index.ts'
import type { Database } from '../../db/schema.ts'
import {
  type Buckets,
  type CompressionOptions,
  type ConsistencyToken,
  createCacheMetrics,
  createFreshnessPolicy,
  createLoader,
  createReader,
  createUncachedReader,
  defineResource,
  entryKey,
  type EntryStore,
  IncarnationTracker,
  type Loaded,
  type Redis,
} from '../../shared/cache/index.ts'
import { type FreshnessPolicy } from '../../shared/cache/freshness/freshness-policy.ts'
import type { PolledState } from '../../shared/cache/freshness/polled-state.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
import { createEmptyDatabase } from '../support/database.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { openTestRedis, openTestStore } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import type { Reader, Resource } from '../../shared/resources/cache.ts'

/** The cache engine over a real Postgres and Redis, with a table of entities to cache. */
export interface Engine extends AsyncDisposable {
  readonly db: Kysely<Database>
  /** The test's own connection, separate from those of the engine. */
  readonly redis: Redis
  readonly buckets: Buckets
  readonly prefix: string
  readonly databaseUrl: string
  /** Opens a reader with its own connections, like another process. */
  openReader(options?: ReaderOptions): Promise<TestReader>
  /** Returns the key of an entity's entry. */
  keyOf(id: string): string
}

export interface ReaderOptions {
  readonly redisUrl?: string
  /** Wraps the store that the reader uses. */
  readonly wrap?: (store: EntryStore) => EntryStore
  /** Disables the cache. */
  readonly isDisabled?: boolean
  readonly isCached?: (resource: Resource) => boolean
  /** 10 s by default, as in production. */
  readonly maxStalenessMs?: number
  /** Wraps the freshness policy that the reader uses. */
  readonly wrapPolicy?: (freshnessPolicy: FreshnessPolicy) => FreshnessPolicy
  readonly consistencyTokens?: () => readonly ConsistencyToken[]
  readonly polledState?: PolledState
  /**
   * Timeout of one command and budget of one read, in milliseconds; the production values by
   * default.
   */
  readonly redisTimeoutMs?: number
  /** Longer values are not stored; the production value by default. */
  readonly maxValueBytes?: number
  readonly compression?: CompressionOptions
  /** Does not wait until Redis is connected. */
  readonly withoutRedis?: boolean
}

export interface TestReader {
  readonly reader: Reader
  readonly store: EntryStore
  readonly redis: Redis
  /** The incarnation of the database that its loads have seen. */
  readonly incarnationTracker: IncarnationTracker
  /** Returns the number of loads that it has started. */
  loads(): Promise<number>
  /** Returns the number of its fills with this result. */
  fills(result: string): Promise<number>
  readonly fillErrors: readonly unknown[]
}

/** How a resource over the table `entity` differs from the default one. */
export interface EntityOptions {
  readonly reserved?: readonly string[]
  readonly ttlMs?: number
  readonly staleIfError?: boolean
  /** Fields that the loader returns in addition to the body. */
  readonly extras?: Partial<Omit<Loaded, 'body'>>
  /** Called after the loader's SELECT, before the loader returns. */
  readonly afterSelect?: () => unknown
  /** None by default. */
  readonly staleWhen?: Resource['staleWhen']
}

/** Defines a resource that loads a row of `entity` as JSON, with the variant. */
export function defineEntity({
  ttlMs = 60_000,
  staleIfError = false,
  extras = {},
  afterSelect = () => {},
  staleWhen = [],
  reserved = [],
}: EntityOptions = {}): Resource {
  return defineResource({
    name: 'entity',
    version: 1,
    key: 'entity:{id}',
    ttlMs,
    staleIfError,
    staleWhen,
    reserved,
    async load(trx, { id = '' }, variant) {
      const { rows } = await sql<{ body: string }>`
        select json_build_object('body', body, 'variant', ${variant}::text)::text as body
        from entity where id = ${id}
      `.execute(trx)
      await afterSelect()
      return rows[0] ? { ...rows[0], ...extras } : null
    },
  })
}

/**
 * Opens an engine with entities `1` to `9`, each with the body `first`. Creates a database unless
 * one is given.
 */
export async function openEngine(
  redisUrl = testRedisUrl(),
  givenDatabaseUrl?: string,
): Promise<Engine> {
  const closers: (() => unknown)[] = []
  const databaseUrl = givenDatabaseUrl ?? (await ownDatabase(closers))
  await install(databaseUrl, { tables: [] })
  const db = openDatabase({ url: databaseUrl, poolSize: 8, applicationName: 'engine-test' })
  closers.push(() => db.destroy())
  await sql`create table entity (id text primary key, body text)`.execute(db)
  await sql`insert into entity select i, 'first' from generate_series(1, 9) i`.execute(db)

  const prefix = newPrefix()
  const connect = (url: string, name: string) => {
    const opened = openTestRedis(url, prefix, { name, commandTimeoutMs: 2_050 })
    closers.push(() => opened.redis.disconnect())
    return opened
  }
  const { redis, buckets } = connect(redisUrl, 'engine-test')
  await until(() => redis.status === 'ready')

  return {
    db,
    redis,
    buckets,
    prefix,
    keyOf: (id) => entryKey(prefix, { key: 'entity:{id}', version: 1 }, { id }),
    databaseUrl,

    async openReader(options = {}) {
      const own = connect(options.redisUrl ?? redisUrl, 'engine-test-reader')
      const store = openTestStore(own, {
        prefix,
        commandTimeoutMs: options.redisTimeoutMs ?? 50,
        ...(options.polledState && { polledState: options.polledState }),
        ...(options.maxValueBytes && { maxValueBytes: options.maxValueBytes }),
      })
      closers.push(() => store[Symbol.dispose]())
      const metrics = createCacheMetrics(createAppInstruments(createRegistry()))
      const fillErrors: unknown[] = []
      const incarnationTracker = new IncarnationTracker()
      const freshnessPolicy = createFreshnessPolicy({
        maxStalenessMs: options.maxStalenessMs ?? 10_000,
        incarnationTracker,
      })
      const loader = createLoader(db, {
        concurrency: 8,
        queue: 1000,
        incarnationTracker,
        tables: ['entity'],
      })
      const cached = createReader({
        store: options.wrap ? options.wrap(store) : store,
        loader,
        freshnessPolicy: options.wrapPolicy ? options.wrapPolicy(freshnessPolicy) : freshnessPolicy,
        ...(options.consistencyTokens && { currentConsistencyTokens: options.consistencyTokens }),
        ...(options.maxValueBytes && { maxValueBytes: options.maxValueBytes }),
        ...(options.compression && { compression: options.compression }),
        ...(options.redisTimeoutMs && { redisBudgetMs: options.redisTimeoutMs }),
        prefix,
        ...(options.isCached && { isCached: options.isCached }),
        metrics,
        onFillError: (error) => fillErrors.push(error),
      })
      const reader = options.isDisabled ? createUncachedReader({ loader, metrics }) : cached
      incarnationTracker.observe(await findIncarnation(db), performance.now())
      if (!options.withoutRedis) await until(() => isUsable(store))
      return {
        reader,
        store,
        redis: own.redis,
        incarnationTracker,
        loads: () => total(metrics.loads, {}),
        fills: (result) => total(metrics.fills, { result }),
        fillErrors,
      }
    },

    async [Symbol.asyncDispose]() {
      const keys = await redis.keys(`${prefix}/*`).catch(() => [])
      if (keys.length > 0) await redis.unlink(keys)
      for (const close of closers.toReversed()) await close()
    },
  }
}

async function ownDatabase(closers: (() => unknown)[]): Promise<string> {
  const database = await createEmptyDatabase()
  closers.push(() => database[Symbol.asyncDispose]())
  return database.url
}

/**
 * Whether a store would use Redis now, i.e. its circuit breaker is closed and it knows the time of each bucket.
 */
export function isUsable(store: EntryStore): boolean {
  try {
    return store.now('') > 0 && store.states('').every(({ nowMs }) => nowMs !== null)
  } catch {
    return false
  }
}

interface Counted {
  get(): Promise<{ values: { labels: object; value: number }[] }>
}

async function total(counter: Counted, labels: Readonly<Record<string, string>>): Promise<number> {
  const { values } = await counter.get()
  return values
    .filter((it) => Object.entries(labels).every(([k, v]) => Object(it.labels)[k] === v))
    .reduce((sum, { value }) => sum + value, 0)
}
