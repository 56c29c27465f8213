import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Registry } from 'prom-client'
import { openListener } from '../../db/event-log/listener.ts'
import { openWorkerSession, type WorkerSession } from '../../db/event-log/session.ts'
import { runInvalidator } from '../../invalidator/invalidator.ts'
import { createInvalidatorMetrics, type InvalidatorMetrics } from '../../invalidator/metrics.ts'
import { WakeUp } from '../../invalidator/wake-up.ts'
import { createWorker, type Worker } from '../../invalidator/worker.ts'
import { createIdentityReader } from '../../shared/cache/identity.ts'
import {
  createInvalidationStore,
  type InvalidationStore,
} from '../../shared/cache/invalidation-store.ts'
import type { ResourceRules } from '../../shared/cache/resource.ts'
import { createLogger } from '../../shared/logger.ts'
import { createRegistry } from '../../shared/metrics.ts'
import { openRedis, type Redis } from '../../shared/redis.ts'
import { until } from './until.ts'

export interface TestInvalidatorOptions {
  readonly databaseUrl: string
  readonly catalog: readonly ResourceRules[]
  /** By default the Redis of the test run. */
  readonly redisUrl?: string
  /** By default one of this invalidator's own. */
  readonly prefix?: string
  /** How long to sleep at most without a ring; by default as in production, `Infinity` is for ever. */
  readonly heartbeatMs?: number
  /** Ten seconds by default. */
  readonly statementTimeoutMs?: number
  /** How long a request for the sleep lock waits; so long that it is no fallback poll, by default. */
  readonly sleepLockWaitMs?: number
  /** How often a worker looks at the triggers; by default as in production. */
  readonly inspectEveryMs?: number
  /** What `pg_stat_activity` calls the worker; its listener has `-listener` behind it. */
  readonly applicationName?: string
  /** May stand between the worker and Redis. */
  readonly wrapInvalidationStore?: (invalidationStore: InvalidationStore) => InvalidationStore
  /** May stand between the worker and Postgres. */
  readonly wrapSession?: (session: WorkerSession) => WorkerSession
  /** Begins to work only when the bell can be heard; else that rings once for itself. */
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

/** A whole invalidator in this process. */
export interface TestInvalidator extends Opened, AsyncDisposable {
  /** Whether windows are being applied. */
  readonly working: boolean
  readonly connected: boolean
  /** How often it was woken by its listener. */
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
  let rings = 0
  let working = false

  const listener = openListener({
    url: databaseUrl,
    applicationName: `${applicationName}-listener`,
    onNotify() {
      rings++
      wakeUp.notify()
    },
    onState: () => {},
  })
  const running = runInvalidator(
    {
      async openSession() {
        if (options.listenFirst) {
          await until(() => listener.connected || stopping.signal.aborted)
          // Its own ring for having begun would hide that another is missing.
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
      invalidationStore: wrapInvalidationStore(invalidationStore),
      catalog,
      prefix,
      readIdentity: createIdentityReader(redis, prefix),
      heartbeatMs,
      metrics,
      logger: silentLogger(),
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
      return rings
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
      await listener[Symbol.asyncDispose]()
      redis.disconnect()
    },
  }
}

/** A worker that does one window at a time, when it is told to. */
export interface TestWorker extends Opened, AsyncDisposable {
  readonly worker: Worker
  readonly session: WorkerSession
}

/** Opens a worker on a session of its own, owning nothing yet. */
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
    invalidationStore: wrapInvalidationStore(invalidationStore),
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
    // What a window asked for beside it belongs to it here.
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
    metrics: createInvalidatorMetrics(registry),
  }
}

/** A key prefix that no other test uses. */
export const newPrefix = () => `test-${randomBytes(4).toString('hex')}`

/** The Redis of the test run. */
export function testRedisUrl(): string {
  const url = process.env.TEST_REDIS_URL
  if (!url) throw new Error('TEST_REDIS_URL is not set: run tests by mocha')
  return url
}

/** One server of it, with an address that a proxy can stand before. */
export const testRedisServerUrl = () => process.env.TEST_REDIS_SERVER_URL ?? testRedisUrl()

function silentLogger() {
  const logger = createLogger('test')
  logger.silent = true
  return logger
}

/** Notes the keys that a ledger has forgotten, and how often it flushed. */
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
