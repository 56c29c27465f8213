import { type Kysely, sql } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { install } from '../../db/event-log/install.ts'
import { findIncarnation } from '../../db/queries/incarnation.ts'
import type { Database } from '../../db/schema.ts'
import { createFreshnessPolicy, type FreshnessPolicy } from '../../shared/cache/freshness-policy.ts'
import { entryKey } from '../../shared/cache/key.ts'
import { createLoader } from '../../shared/cache/loader.ts'
import { createCacheMetrics } from '../../shared/cache/metrics.ts'
import { IncarnationTracker } from '../../shared/cache/incarnation-tracker.ts'
import { createReader, type Reader } from '../../shared/cache/reader.ts'
import { defineResource, type Loaded, type Resource } from '../../shared/cache/resource.ts'
import type { PolledState } from '../../shared/cache/polled-state.ts'
import { createEntryStore, type EntryStore } from '../../shared/cache/entry-store.ts'
import type { ConsistencyToken } from '../../shared/cache/consistency-token.ts'
import { createRegistry } from '../../shared/metrics.ts'
import { openRedis, type Redis } from '../../shared/redis.ts'
import { createEmptyDatabase } from '../support/database.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { until } from '../support/until.ts'

/** The engine over a real Postgres and a real Redis, and a table of things to cache. */
export interface Engine extends AsyncDisposable {
  readonly db: Kysely<Database>
  /** The test's own connection: what it sees and does is not the engine's doing. */
  readonly redis: Redis
  readonly prefix: string
  readonly databaseUrl: string
  /** A reader with connections of its own, like another process. */
  openReader(options?: ReaderOptions): Promise<TestReader>
  /** The key of one thing's entry. */
  keyOf(id: string): string
}

export interface ReaderOptions {
  readonly redisUrl?: string
  /** Stands between the reader and its store. */
  readonly wrap?: (store: EntryStore) => EntryStore | null
  readonly isCached?: (resource: Resource) => boolean
  /** Ten seconds by default, as in production. */
  readonly maxStalenessMs?: number
  /** Stands between the reader and its guard. */
  readonly wrapPolicy?: (freshnessPolicy: FreshnessPolicy) => FreshnessPolicy
  readonly consistencyTokens?: () => readonly ConsistencyToken[]
  readonly polledState?: PolledState
  /** How long one command may take, and all of a read; as in production by default. */
  readonly redisTimeoutMs?: number
  /** What is longer is not stored; as in production by default. */
  readonly maxValueBytes?: number
  /** Do not wait until Redis has been found. */
  readonly isAlone?: boolean
}

export interface TestReader {
  readonly reader: Reader
  readonly store: EntryStore
  readonly redis: Redis
  /** Which life of the database its loads have seen. */
  readonly incarnationTracker: IncarnationTracker
  /** How many loads it has begun. */
  loads(): Promise<number>
  /** How many of its fills came to this. */
  fills(result: string): Promise<number>
  readonly fillErrors: readonly unknown[]
}

/** How a resource over `thing` differs from the plain one. */
export interface EntityOptions {
  readonly reserved?: readonly string[]
  readonly ttlMs?: number
  readonly staleIfError?: boolean
  /** What the loader says besides the body. */
  readonly extras?: Partial<Omit<Loaded, 'body'>>
  /** Between the loader's SELECT and its end. */
  readonly afterSelect?: () => unknown
  /** By default none. */
  readonly staleWhen?: Resource['staleWhen']
}

/** The row of `thing`, as JSON with the variant. */
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

/** Opens an engine with the things `1` to `9`; each one's body is `first`. By default on a database of its own. */
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
    const redis = openRedis(url, { name, commandTimeoutMs: 2_050, onState: () => {} })
    redis.on('error', () => {})
    closers.push(() => redis.disconnect())
    return redis
  }
  const redis = connect(redisUrl, 'engine-test')
  await until(() => redis.status === 'ready')

  return {
    db,
    redis,
    prefix,
    keyOf: (id) => entryKey(prefix, { key: 'entity:{id}', version: 1 }, { id }),
    databaseUrl,

    async openReader(options = {}) {
      const own = connect(options.redisUrl ?? redisUrl, 'engine-test-reader')
      const store = createEntryStore(own, {
        prefix,
        commandTimeoutMs: options.redisTimeoutMs ?? 50,
        ...(options.polledState && { polledState: options.polledState }),
        ...(options.maxValueBytes && { maxValueBytes: options.maxValueBytes }),
      })
      closers.push(() => store[Symbol.dispose]())
      const metrics = createCacheMetrics(createRegistry())
      const fillErrors: unknown[] = []
      const incarnationTracker = new IncarnationTracker()
      const freshnessPolicy = createFreshnessPolicy({
        maxStalenessMs: options.maxStalenessMs ?? 10_000,
        incarnationTracker,
      })
      const reader = createReader({
        store: options.wrap ? options.wrap(store) : store,
        loader: createLoader(db, {
          concurrency: 8,
          queue: 1000,
          incarnationTracker,
          tables: ['entity'],
        }),
        freshnessPolicy: options.wrapPolicy ? options.wrapPolicy(freshnessPolicy) : freshnessPolicy,
        ...(options.consistencyTokens && { currentConsistencyTokens: options.consistencyTokens }),
        ...(options.maxValueBytes && { maxValueBytes: options.maxValueBytes }),
        ...(options.redisTimeoutMs && { redisBudgetMs: options.redisTimeoutMs }),
        prefix,
        isCached: options.isCached ?? (() => true),
        metrics,
        onFillError: (error) => fillErrors.push(error),
      })
      incarnationTracker.observe(await findIncarnation(db), performance.now())
      if (!options.isAlone) await until(() => isUsable(store))
      return {
        reader,
        store,
        redis: own,
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

/** Whether a store would try to use Redis now. */
export function isUsable(store: EntryStore): boolean {
  try {
    return store.now() > 0
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
