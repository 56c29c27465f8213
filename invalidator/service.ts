import type { Logger } from 'winston'
import { openListener, openWorkerSession } from '../db/event-log/index.ts'
import {
  createDenialLog,
  createIdentityReader,
  createInvalidationStores,
  type Instruments,
  measureRedis,
  openBuckets,
  type ResourceRules,
} from '../shared/cache/index.ts'
import type { Console } from './console/console.ts'
import { runInvalidator } from './invalidator.ts'
import { runMetricsCollector } from './metrics-collector.ts'
import { createInvalidatorMetrics } from './metrics.ts'
import { WakeUp } from './wake-up.ts'

export interface InvalidatorServiceOptions {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** `application_name` of its sessions in Postgres, and its name in Redis. */
  readonly applicationName: string
  /** First part of every key in Redis. */
  readonly prefix: string
  readonly catalog: readonly ResourceRules[]
  /** Longest sleep without a notification, in ms. By default 500. */
  readonly heartbeatMs?: number
  readonly instruments: Instruments
  readonly logger: Logger
  /** Appended to log messages about missing permissions of Redis. */
  readonly denialHint?: string
  /** Called when the invalidator starts or stops applying windows. */
  readonly onState?: (isWorking: boolean) => void
  /** Shows what this process and the others do. */
  readonly console?: Console
}

/** Kept short: while a command waits, the worker does not ping its session. */
const REDIS_COMMAND_TIMEOUT_MS = 2_000
/** For statements such as inspections and pruning. Windows and lookups have shorter limits. */
const STATEMENT_TIMEOUT_MS = 30_000
const HEARTBEAT_MS = 500

/**
 * Connects to Postgres and Redis, and invalidates until `stopping`. Any number of processes may run it:
 * they divide the resources among them.
 * @throws ConfigurationError for an address that cannot be used.
 */
export async function runInvalidatorService(
  options: InvalidatorServiceOptions,
  stopping: AbortSignal,
): Promise<void> {
  const { databaseUrl: url, redisUrl, applicationName, prefix, catalog } = options
  const { instruments, logger, denialHint, onState, console } = options
  const metrics = createInvalidatorMetrics(instruments)
  const logDenial = createDenialLog(logger, denialHint)
  const buckets = openBuckets(redisUrl, prefix, {
    name: applicationName,
    commandTimeoutMs: REDIS_COMMAND_TIMEOUT_MS,
    onState: (state, error) => logger.info('redis', { state, error }),
  })
  measureRedis(buckets, instruments)
  const wakeUp = new WakeUp()
  const listener = openListener({
    url,
    applicationName: `${applicationName}-listener`,
    onNotify: () => {
      metrics.wakeUps.inc()
      wakeUp.notify()
    },
    onState: (connected, error) => logger.info('listener', { connected, error }),
  })
  instruments.reading('listener_connected', 'Whether the listener is connected', () => [
    [{}, listener.connected ? 1 : 0],
  ])
  const stores = createInvalidationStores(buckets)
  const common = { stores, catalog, logger, logDenial }
  try {
    await Promise.all([
      console?.run({ databaseUrl: url, buckets, prefix, applicationName, instruments }, stopping),
      runMetricsCollector(
        {
          ...common,
          databaseUrl: url,
          applicationName: `${applicationName}-metrics`,
          buckets,
          instruments,
        },
        stopping,
      ),
      runInvalidator(
        {
          ...common,
          openSession: () =>
            openWorkerSession({ url, applicationName, statementTimeoutMs: STATEMENT_TIMEOUT_MS }),
          listener,
          wakeUp,
          prefix,
          readIdentity: createIdentityReader(buckets),
          heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
          metrics,
          feed: console?.feed,
          ...(onState && { onState }),
        },
        stopping,
      ),
    ])
  } finally {
    await listener[Symbol.asyncDispose]()
    buckets[Symbol.dispose]()
  }
}
