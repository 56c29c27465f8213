import { openListener } from '../db/event-log/reading/listener.ts'
import { openWorkerSession } from '../db/event-log/reading/session.ts'
import { createIdentityReader } from '../shared/cache/redis/identity.ts'
import { createInvalidationStore } from '../shared/cache/invalidation-store/invalidation-store.ts'
import { parseConfig } from '../shared/config.ts'
import { createInstruments } from '../shared/cache/instruments.ts'
import { runService } from '../shared/lifecycle.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { configureLogger, createLogger } from '../shared/logger.ts'
import { createRegistry, createStatusServer } from '../shared/metrics.ts'
import { exitWithParent } from '../shared/parent-watch.ts'
import { openRedis } from '../shared/cache/redis/redis.ts'
import { measureRedis } from '../shared/cache/redis/metrics.ts'
import { catalog } from '../shared/resources/index.ts'
import { closeServer, listen } from '../shared/server.ts'
import { runMetricsCollector } from './metrics-collector.ts'
import { invalidatorConfig } from './config.ts'
import { runInvalidator } from './invalidator.ts'
import { createInvalidatorMetrics } from './metrics.ts'
import { WakeUp } from './wake-up.ts'

const logger = createLogger('invalidator')

const APPLICATION_NAME = 'spms-invalidator'
/** Kept short: while a command waits, the worker does not ping its session. */
const REDIS_COMMAND_TIMEOUT_MS = 2_000
const STATEMENT_TIMEOUT_MS = 30_000

await runService(logger, async (service) => {
  exitWithParent(process.env)
  const config = parseConfig(invalidatorConfig, withSecretFiles(process.env))
  configureLogger(logger, config.log)
  const { url } = config.database
  const { prefix, redisUrl } = config

  const registry = createRegistry()
  const instruments = createInstruments(registry)
  const metrics = createInvalidatorMetrics(registry)
  const redis = service.own(
    openRedis(redisUrl, {
      name: APPLICATION_NAME,
      commandTimeoutMs: REDIS_COMMAND_TIMEOUT_MS,
      onState: (state, error) => logger.info('redis', { state, error }),
    }),
    (redis) => redis.disconnect(),
  )
  measureRedis(redis, instruments)
  const wakeUp = new WakeUp()
  const listener = service.own(
    openListener({
      url,
      applicationName: `${APPLICATION_NAME}-listener`,
      onNotify: () => {
        metrics.wakeUps.inc()
        wakeUp.notify()
      },
      onState: (connected, error) => logger.info('listener', { connected, error }),
    }),
    (listener) => listener[Symbol.asyncDispose](),
  )
  instruments.reading('spms_listener_connected', 'Whether the listener is connected', () => [
    [{}, listener.connected ? 1 : 0],
  ])

  let working = false
  const status = service.own(
    createStatusServer({
      registry,
      isReady: () => working && !service.stopping.aborted,
    }),
    closeServer,
  )
  const { host, metricsPort } = config
  const port = await listen(status, { host, port: metricsPort, setting: 'METRICS_PORT' })
  logger.info('started', { host, metricsPort: port })

  const invalidationStore = createInvalidationStore(redis, prefix)
  const metricsCollector = runMetricsCollector(
    {
      databaseUrl: url,
      applicationName: `${APPLICATION_NAME}-metrics`,
      redis,
      invalidationStore,
      catalog,
      registry,
      logger,
    },
    service.stopping,
  )
  await runInvalidator(
    {
      openSession: () =>
        openWorkerSession({
          url,
          applicationName: APPLICATION_NAME,
          statementTimeoutMs: STATEMENT_TIMEOUT_MS,
        }),
      listener,
      wakeUp,
      invalidationStore,
      catalog,
      prefix,
      readIdentity: createIdentityReader(redis, prefix),
      heartbeatMs: config.heartbeatMs,
      metrics,
      logger,
      onState: (state) => {
        working = state
      },
    },
    service.stopping,
  )
  await metricsCollector
})
