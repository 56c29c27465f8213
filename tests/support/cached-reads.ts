import type { Kysely } from 'kysely'
import { Registry } from 'prom-client'
import winston from 'winston'
import { findMoment, includes, openDatabase } from '../../db/event-log/index.ts'
import { runInvalidatorService } from '../../invalidator/index.ts'
import {
  type Buckets,
  createInstruments,
  type EntryStore,
  openReader,
  type Reader,
  type ResourceRules,
} from '../../shared/cache/index.ts'
import { newPrefix, testRedisUrl } from './invalidator.ts'
import { until } from './until.ts'

/** A reader and an invalidator of one catalog, composed as an application composes them. */
export interface CachedReads<DB> extends AsyncDisposable {
  readonly db: Kysely<DB>
  readonly reader: Reader<DB>
  readonly store: EntryStore
  readonly buckets: Buckets
  readonly prefix: string
  readonly registries: readonly Registry[]
  /** Waits until the reader knows that everything committed so far has been applied. */
  untilApplied(): Promise<void>
}

/** Opens them on a database with the triggers. `name` is the first part of all names but keys. */
export async function openCachedReads<DB>(
  url: string,
  catalog: readonly ResourceRules[],
  name: string,
  options: Partial<Parameters<typeof openReader<DB>>[0]> = {},
): Promise<CachedReads<DB>> {
  const registries = [new Registry(), new Registry()] as const
  const common = {
    redisUrl: options.redisUrl ?? testRedisUrl(),
    prefix: options.prefix ?? newPrefix(),
    catalog,
    logger: winston.createLogger({ silent: true }),
  }
  const db = openDatabase<DB>({ url, poolSize: 4, applicationName: `${name}-api` })
  const opened = openReader({
    ...common,
    db,
    applicationName: `${name}-api`,
    instruments: createInstruments(registries[0], name),
    loadConcurrency: 2,
    // A busy machine must not fail the test.
    commandTimeoutMs: 5_000,
    redisBudgetMs: 5_000,
    ...options,
  })
  const { reader, buckets, store } = opened
  if (buckets === null || store === null) throw new Error('the reader was opened without Redis')
  const stopping = new AbortController()
  const running = runInvalidatorService(
    {
      ...common,
      databaseUrl: url,
      applicationName: `${name}-invalidator`,
      instruments: createInstruments(registries[1], name),
    },
    stopping.signal,
  )
  const untilApplied = () => untilIncluded(db, store, catalog)
  await untilApplied()

  return {
    db,
    reader,
    store,
    buckets,
    prefix: common.prefix,
    registries,
    untilApplied,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
      await deleteKeys(buckets, common.prefix)
      opened[Symbol.dispose]()
      await db.destroy()
    },
  }
}

async function untilIncluded<DB>(
  db: Kysely<DB>,
  store: EntryStore,
  catalog: readonly ResourceRules[],
): Promise<void> {
  const { snapshot } = await findMoment(db)
  await until(() =>
    catalog.every(({ name }) =>
      store.states(name).every(({ mark }) => mark !== null && includes(mark.snapshot, snapshot)),
    ),
  )
}

/** Deletes all keys of a prefix on every server that answers. */
async function deleteKeys(buckets: Buckets, prefix: string): Promise<void> {
  for (const redis of buckets.servers) {
    const keys = await redis.keys(`${prefix}/*`).catch(() => [])
    // In a cluster the keys of one command must be of one slot.
    await Promise.all(keys.map((key) => redis.unlink(key)))
  }
}
