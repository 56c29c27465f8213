import { randomBytes } from 'node:crypto'
import type { Registry } from 'prom-client'
import type { Logger } from 'winston'
import { openListener, openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
import { runInvalidator } from '../../invalidator/invalidator.ts'
import { createInvalidatorMetrics, type InvalidatorMetrics } from '../../invalidator/metrics.ts'
import { WakeUp } from '../../invalidator/wake-up.ts'
import { createWorker, type Worker } from '../../invalidator/worker.ts'
import {
  type Buckets,
  createIdentityReader,
  createInvalidationStores,
  type InvalidationStore,
  type InvalidationStores,
  type Redis,
  type ResourceRules,
} from '../../shared/cache/index.ts'
import { createLogger } from '../../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
import { furthestBehind } from './furthest-behind.ts'
import { openTestRedis, untilReady, withoutAnyBucket } from './test-redis.ts'
import { until } from './until.ts'

export interface TestInvalidatorOptions {
  readonly databaseUrl: string
  readonly catalog: readonly ResourceRules[]
  /** By default the Redis of the test run. */
  readonly redisUrl?: string
  /** Key prefix; by default a unique one. */
  readonly prefix?: string
  /** Longest sleep without a wake-up, in ms; by default 500. `Infinity` disables the heartbeat. */
  readonly heartbeatMs?: number
  /** By default 10 s. */
  readonly statementTimeoutMs?: number
  /** How long to wait for the sleep lock; by default 10 min, so that it never acts as a fallback poll. */
  readonly sleepLockWaitMs?: number
  /** Interval of inspections; by default as in production. */
  readonly inspectEveryMs?: number
  /** Name of the worker in `pg_stat_activity`; the listener's has the suffix `-listener`. */
  readonly applicationName?: string
  /** Wraps the store between the worker and Redis: that of each bucket. */
  readonly wrapInvalidationStore?: WrapStore
  /** Wraps the session between the worker and Postgres. */
  readonly wrapSession?: (session: WorkerSession) => WorkerSession
  /** By default a silent one. */
  readonly logger?: Logger
  /** Whether the worker starts only after the listener has connected and its initial wake-up is consumed. */
  readonly listenFirst?: boolean
}

/** Returns the store of a bucket with other behaviour. */
export type WrapStore = (invalidationStore: InvalidationStore, bucket: number) => InvalidationStore

interface Opened {
  readonly prefix: string
  readonly redis: Redis
  readonly buckets: Buckets
  /** Unwrapped. */
  readonly stores: InvalidationStores
  /** Reads from the unwrapped stores. A watermark is that of the bucket that is furthest behind. */
  readonly invalidationStore: Pick<InvalidationStore, 'read' | 'readAll'>
  readonly registry: Registry
  readonly metrics: InvalidatorMetrics
}

/** An invalidator in this process. */
export interface TestInvalidator extends Opened, AsyncDisposable {
  /** Whether it currently applies windows. */
  readonly working: boolean
  readonly connected: boolean
  /** Number of wake-ups by its listener. */
  readonly wakeUps: number
}

/** Runs an invalidator as its `main.ts` does, until it is disposed of. */
export function startInvalidator(options: TestInvalidatorOptions): TestInvalidator {
  const { databaseUrl, catalog, heartbeatMs = 500, applicationName = 'spms-test' } = options
  const {
    wrapInvalidationStore = (invalidationStore) => invalidationStore,
    wrapSession = (session) => session,
  } = options
  const opened = open(options)
  const { redis, buckets, prefix, stores, metrics } = opened
  const stopping = new AbortController()
  const wakeUp = new WakeUp()
  let wakeUps = 0
  let working = false

  const listener = openListener({
    url: databaseUrl,
    applicationName: `${applicationName}-listener`,
    onNotify() {
      wakeUps++
      wakeUp.notify()
    },
    onState: () => {},
  })
  const running = runInvalidator(
    {
      async openSession() {
        if (options.listenFirst) {
          await until(() => listener.connected || stopping.signal.aborted)
          // Consumes the wake-up on connect, which would hide a missing one.
          await wakeUp.wait(0, stopping.signal)
        }
        const session = await openWorkerSession({
          url: databaseUrl,
          applicationName,
          statementTimeoutMs: options.statementTimeoutMs ?? 10_000,
          sleepLockWaitMs: options.sleepLockWaitMs ?? 600_000,
        })
        return wrapSession(session)
      },
      listener,
      wakeUp,
      stores: wrapStores(stores, wrapInvalidationStore),
      catalog,
      prefix,
      readIdentity: createIdentityReader(buckets),
      heartbeatMs,
      metrics,
      logger: options.logger ?? silentLogger(),
      onState: (state) => (working = state),
    },
    stopping.signal,
  )

  return {
    ...opened,
    get working() {
      return working
    },
    get connected() {
      return listener.connected
    },
    get wakeUps() {
      return wakeUps
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
      await listener[Symbol.asyncDispose]()
      redis.disconnect()
    },
  }
}

/** A worker that applies one window for each call. */
export interface TestWorker extends Opened, AsyncDisposable {
  readonly worker: Worker
  readonly session: WorkerSession
}

/** Opens a worker with its own session. It owns no resource yet. */
export async function openWorker(options: TestInvalidatorOptions): Promise<TestWorker> {
  const { databaseUrl, catalog, applicationName = 'spms-test-worker' } = options
  const {
    wrapInvalidationStore = (invalidationStore) => invalidationStore,
    wrapSession = (session) => session,
  } = options
  const session = wrapSession(
    await openWorkerSession({
      url: databaseUrl,
      applicationName,
      statementTimeoutMs: 10_000,
      sleepLockWaitMs: options.sleepLockWaitMs ?? 600_000,
    }),
  )
  const opened = open(options)
  const { prefix, stores, metrics, redis } = opened
  await untilReady(redis)
  const reads = createReadCounter()
  const worker = createWorker({
    session,
    stores: wrapStores(stores, (store, bucket) =>
      wrapInvalidationStore(reads.count(store), bucket),
    ),
    catalog,
    prefix,
    metrics,
    logger: silentLogger(),
    publishEverywhereEveryMs: 0,
    ...(options.inspectEveryMs !== undefined && { inspectEveryMs: options.inspectEveryMs }),
  })
  const { applyWindow } = worker
  // Includes the passes that a window starts in the background, and the buckets that it did not await.
  async function applyCompletely(): Promise<number> {
    const count = await applyWindow()
    await worker.waitForPasses()
    if (reads.pending === 0) return count
    await until(() => reads.pending === 0)
    return count + (await applyCompletely())
  }
  return {
    ...opened,
    session,
    worker: Object.assign(worker, { applyWindow: applyCompletely }),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]()
      redis.disconnect()
    },
  }
}

function open({ redisUrl = testRedisUrl(), prefix = newPrefix() }: TestInvalidatorOptions): Opened {
  const { redis, buckets } = openTestRedis(redisUrl, prefix, {
    name: 'spms-test-invalidator',
    commandTimeoutMs: 5_000,
  })
  const registry = createRegistry()
  const stores = createInvalidationStores(buckets)
  return {
    prefix,
    redis,
    buckets,
    stores,
    invalidationStore: {
      read: async (resource) => {
        const numbers = Array.from({ length: stores.count }, (_, bucket) => bucket)
        return furthestBehind(
          await Promise.all(numbers.map((bucket) => stores.at(bucket).read(resource))),
        )
      },
      readAll: () => stores.at(0).readAll(),
    },
    registry,
    metrics: createInvalidatorMetrics(createAppInstruments(registry)),
  }
}

/** Counts the reads of stores that have not ended. */
function createReadCounter() {
  let pending = 0
  const counted = async <T>(read: Promise<T>): Promise<T> => {
    pending++
    try {
      return await read
    } finally {
      pending--
    }
  }
  return {
    get pending() {
      return pending
    },
    count: (store: InvalidationStore): InvalidationStore => ({
      ...store,
      time: () => counted(store.time()),
      read: (resource) => counted(store.read(resource)),
    }),
  }
}

/** Returns stores that a test has wrapped, one for each bucket and server. */
function wrapStores(stores: InvalidationStores, wrap: WrapStore): InvalidationStores {
  const wrapped = new WeakMap<InvalidationStore, InvalidationStore>()
  return {
    ...stores,
    at(bucket) {
      const store = stores.at(bucket)
      const known = wrapped.get(store) ?? wrap(store, bucket)
      wrapped.set(store, known)
      return known
    },
  }
}

/** Returns a unique key prefix. */
export const newPrefix = () => `test-${randomBytes(4).toString('hex')}`

/** Returns the URL of the test run's Redis. */
export function testRedisUrl(): string {
  const url = process.env.TEST_REDIS_URL
  if (!url) throw new Error('TEST_REDIS_URL is not set: run the tests with mocha')
  return url
}

/** Returns the URL of one server of it, which a proxy can forward to. */
export const testRedisServerUrl = () => process.env.TEST_REDIS_SERVER_URL ?? testRedisUrl()

function silentLogger() {
  const logger = createLogger('test')
  logger.silent = true
  return logger
}

/**
 * Records the keys that an invalidation store has deleted, and the resources that it has flushed. A flush of several
 * buckets counts once, when the first of them was flushed.
 */
export function recordKeys(): {
  readonly wrapInvalidationStore: WrapStore
  readonly applied: Set<string>
  readonly flushed: string[]
} {
  const applied = new Set<string>()
  const flushed: string[] = []
  const flushes = new Map<string, number>()
  const most = new Map<string, number>()
  function recordFlush(bucket: number, name: string): void {
    const count = (flushes.get(`${bucket} ${name}`) ?? 0) + 1
    flushes.set(`${bucket} ${name}`, count)
    if (count <= (most.get(name) ?? 0)) return
    most.set(name, count)
    flushed.push(name)
  }
  return {
    applied,
    flushed,
    wrapInvalidationStore: (invalidationStore, bucket) => ({
      ...invalidationStore,
      async apply(advances, between) {
        const report = await invalidationStore.apply(advances, between)
        for (const { resource, keys, flush } of advances) {
          if (!report.stored.has(resource.name)) continue
          if (flush) recordFlush(bucket, resource.name)
          for (const key of keys) applied.add(withoutAnyBucket(key))
        }
        return report
      },
    }),
  }
}
