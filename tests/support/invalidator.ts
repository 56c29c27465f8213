import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Registry } from 'prom-client'
import type { Logger } from 'winston'
import { openListener, openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
import { runInvalidator } from '../../invalidator/invalidator.ts'
import { createInvalidatorMetrics, type InvalidatorMetrics } from '../../invalidator/metrics.ts'
import { WakeUp } from '../../invalidator/wake-up.ts'
import { createWorker, type Worker } from '../../invalidator/worker.ts'
import {
  createIdentityReader,
  createInvalidationStore,
  type InvalidationStore,
  oneBucket,
  oneStore,
  openRedis,
  type Redis,
  type ResourceRules,
} from '../../shared/cache/index.ts'
import { createLogger } from '../../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
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
  /** Wraps the store between the worker and Redis. */
  readonly wrapInvalidationStore?: (invalidationStore: InvalidationStore) => InvalidationStore
  /** Wraps the session between the worker and Postgres. */
  readonly wrapSession?: (session: WorkerSession) => WorkerSession
  /** By default a silent one. */
  readonly logger?: Logger
  /** Whether the worker starts only after the listener has connected and its initial wake-up is consumed. */
  readonly listenFirst?: boolean
}

interface Opened {
  readonly prefix: string
  readonly redis: Redis
  /** Unwrapped. */
  readonly invalidationStore: InvalidationStore
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
  const { redis, prefix, invalidationStore, metrics } = opened
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
      stores: oneStore(wrapInvalidationStore(invalidationStore)),
      catalog,
      prefix,
      readIdentity: createIdentityReader(oneBucket(redis, prefix)),
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
  const { prefix, invalidationStore, metrics, redis } = opened
  if (redis.status !== 'ready') await once(redis, 'ready')
  const worker = createWorker({
    session,
    stores: oneStore(wrapInvalidationStore(invalidationStore)),
    catalog,
    prefix,
    metrics,
    logger: silentLogger(),
    ...(options.inspectEveryMs !== undefined && { inspectEveryMs: options.inspectEveryMs }),
  })
  const { applyWindow } = worker
  return {
    ...opened,
    session,
    // Includes the passes that a window starts in the background.
    worker: Object.assign(worker, {
      async applyWindow() {
        const count = await applyWindow()
        await worker.waitForPasses()
        return count
      },
    }),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]()
      redis.disconnect()
    },
  }
}

function open({ redisUrl = testRedisUrl(), prefix = newPrefix() }: TestInvalidatorOptions): Opened {
  const redis = openRedis(redisUrl, {
    name: 'spms-test-invalidator',
    commandTimeoutMs: 5_000,
    onState: () => {},
  })
  const registry = createRegistry()
  return {
    prefix,
    redis,
    invalidationStore: createInvalidationStore(redis, prefix),
    registry,
    metrics: createInvalidatorMetrics(createAppInstruments(registry)),
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

/** Records the keys that an invalidation store has deleted, and the resources that it has flushed. */
export function recordKeys(): {
  readonly wrapInvalidationStore: (invalidationStore: InvalidationStore) => InvalidationStore
  readonly applied: Set<string>
  readonly flushed: string[]
} {
  const applied = new Set<string>()
  const flushed: string[] = []
  return {
    applied,
    flushed,
    wrapInvalidationStore: (invalidationStore) => ({
      ...invalidationStore,
      async apply(advances, between) {
        const report = await invalidationStore.apply(advances, between)
        for (const { resource, keys, flush } of advances) {
          if (!report.stored.has(resource.name)) continue
          if (flush) flushed.push(resource.name)
          for (const key of keys) applied.add(key)
        }
        return report
      },
    }),
  }
}
