import { openDatabase } from '../db/database.ts'
import {
  compileRules,
  createCacheMetrics,
  createDenialLog,
  createEntryStore,
  createFreshnessPolicy,
  createLoader,
  createReader,
  createUncachedReader,
  IncarnationTracker,
  type Instruments,
  measureRedis,
  openRedis,
  type Redis,
  type StoreMetrics,
  trackIncarnation,
} from '../shared/cache/index.ts'
import { parseConfig } from '../shared/config.ts'
import { runService, type Service, untilStopped } from '../shared/lifecycle.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { configureLogger, createLogger } from '../shared/logger.ts'
import { createAppInstruments, createRegistry, createStatusServer } from '../shared/metrics.ts'
import { exitWithParent } from '../shared/parent-watch.ts'
import { createSharedBuckets } from '../shared/redis-buckets.ts'
import { DOCTOR_HINT } from '../shared/doctor-hint.ts'
import { catalog } from '../shared/resources/index.ts'
import { closeServer, listen } from '../shared/server.ts'
import { createApp } from './app.ts'
import { type ApiConfig, apiConfig } from './config.ts'
import { createAppServer } from './http/app-server.ts'
import { currentConsistencyTokens } from './http/consistency.ts'
import { currentRequestId } from './http/request-id.ts'
import { createRequestCounter, measureParts } from './metrics.ts'
import { overrideTtls } from './override-ttls.ts'
import { monitorDatabase } from './monitor-database.ts'

const logger = createLogger('api', currentRequestId)

// Longer than the idle timeout of proxies: otherwise a proxy may reuse a connection that the API is closing.
const KEEP_ALIVE_MS = 65_000
const REQUEST_MS = 30_000
const REDIS_BACKSTOP_MS = 2_000

await runService(logger, async (service) => {
  exitWithParent(process.env)
  const config = parseConfig(
    apiConfig(catalog.map(({ name }) => name)),
    withSecretFiles(process.env),
  )
  configureLogger(logger, config.log)
  const { stopping } = service

  // Two pools, so that writes that wait for locks do not exhaust the connections of reads.
  const openPool = (poolSize: number, maxWaiting = Infinity) =>
    service.own(
      openDatabase({
        ...config.database,
        poolSize,
        maxWaiting,
        applicationName: 'spms-api',
        onConnectionError: () => checkDatabase(),
      }),
      (pool) => pool.destroy(),
    )
  const { connections } = config
  const db = openPool(connections.reads)
  const writeDb = openPool(connections.writes, connections.writeQueue)
  const checkDatabase = monitorDatabase({ db, logger, stopping })
  checkDatabase()

  const registry = createRegistry()
  const instruments = createAppInstruments(registry)
  const metrics = createCacheMetrics(instruments)
  const { prefix, resources, maxStalenessMs } = config.cache
  const [secret = ''] = config.http.sessionSecrets
  const incarnationTracker = new IncarnationTracker()
  const redis = openCacheRedis(config.cache, service, instruments)
  const store = redis && openStore(redis, config.cache, service, metrics.store)
  if (store) {
    void trackIncarnation(db, incarnationTracker, stopping, (error) =>
      logger.warn('cannot begin an incarnation of the database; storing nothing in Redis', {
        error,
      }),
    )
  }
  const tables = compileRules(catalog).tables.map(({ name }) => name)
  const loader = createLoader(db, {
    concurrency: connections.loads,
    queue: connections.loadQueue,
    incarnationTracker,
    tables,
  })
  measureParts(registry, { db, writeDb, loader, store, incarnationTracker, resources })
  const read = { loader, metrics }
  const reader =
    store === null
      ? createUncachedReader(read)
      : createReader({
          ...read,
          store,
          freshnessPolicy: createFreshnessPolicy({ maxStalenessMs, incarnationTracker }),
          currentConsistencyTokens,
          prefix,
          isCached: ({ name }) => resources.has(name),
          redisBudgetMs: config.cache.budgetMs,
          maxValueBytes: config.cache.maxValueBytes,
          onFillError: (error) => logger.debug('could not store a value in Redis', { error }),
        })

  let isListening = false
  const isReady = () => isListening && !stopping.aborted
  const app = createApp({
    config: config.http,
    reader: overrideTtls(reader, config.cache.ttlOverridesMs),
    db,
    writeDb,
    logger,
    isReady,
    sharedBuckets: redis && createSharedBuckets(redis, { prefix, secret }),
    countRequest: createRequestCounter(registry),
  })
  const { host } = config

  const status = service.own(createStatusServer({ registry, isReady }), closeServer)
  const metricsPort = await listen(status, {
    host,
    port: config.metricsPort,
    setting: 'METRICS_PORT',
  })
  const server = service.own(
    createAppServer(app, { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_MS }),
    closeServer,
  )
  const port = await listen(server, { host, port: config.port, setting: 'PORT' })
  isListening = true
  logger.info('listening', { host, port, metricsPort })

  await untilStopped(stopping)
})

function openCacheRedis(
  { enabled, redisUrl, commandTimeoutMs }: ApiConfig['cache'],
  service: Service,
  instruments: Instruments,
): Redis | null {
  if (!enabled || redisUrl === undefined) return null
  const redis = service.own(
    openRedis(redisUrl, {
      name: 'spms-api',
      // Longer than the store's own timeout, which distinguishes a slow Redis from a busy process.
      commandTimeoutMs: REDIS_BACKSTOP_MS + commandTimeoutMs,
      onState(state, error) {
        if (state === 'up') logger.info('Redis connected')
        else if (state === 'down') logger.warn('Redis unreachable', { error })
        else logger.error('unsupported Redis', { error })
      },
    }),
    (client) => client.disconnect(),
  )
  measureRedis(redis, instruments)
  return redis
}

function openStore(
  redis: Redis,
  { prefix, commandTimeoutMs, maxValueBytes }: ApiConfig['cache'],
  service: Service,
  metrics: StoreMetrics,
) {
  return service.own(
    createEntryStore(redis, {
      prefix,
      commandTimeoutMs,
      maxValueBytes,
      metrics,
      onState: (isUsable) => logger.info(isUsable ? 'cache in use' : 'cache not in use'),
      onDenied: createDenialLog(logger, DOCTOR_HINT),
    }),
    (store) => store[Symbol.dispose](),
  )
}
