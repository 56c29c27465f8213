import { openDatabase } from '../db/database.ts'
import { openReader } from '../shared/cache/index.ts'
import { parseConfig } from '../shared/config.ts'
import { internalAddress } from '../shared/internal-address.ts'
import { runService, untilStopped } from '../shared/lifecycle.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { configureLogger, createLogger } from '../shared/logger.ts'
import { createAppInstruments, createRegistry, createStatusServer } from '../shared/metrics.ts'
import { exitWithParent } from '../shared/parent-watch.ts'
import { createSharedBuckets } from '../shared/redis-buckets.ts'
import { DOCTOR_HINT } from '../shared/doctor-hint.ts'
import { catalog } from '../shared/resources/index.ts'
import { closeServer, listen } from '../shared/server.ts'
import { VERSION } from '../shared/version.ts'
import { createApp } from './app.ts'
import { apiConfig } from './config.ts'
import { openStorage } from './files/open-storage.ts'
import { createConsoleAnswers } from './console-answers.ts'
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
  const { prefix, resources } = config.cache
  const [secret = ''] = config.http.sessionSecrets
  const { reader, buckets, ...parts } = service.own(
    openReader({
      db,
      redisUrl: config.cache.enabled ? config.cache.redisUrl : undefined,
      applicationName: 'spms-api',
      prefix,
      catalog,
      instruments: createAppInstruments(registry),
      logger,
      denialHint: DOCTOR_HINT,
      currentConsistencyTokens,
      isCached: ({ name }) => resources.has(name),
      maxStalenessMs: config.cache.maxStalenessMs,
      commandTimeoutMs: config.cache.commandTimeoutMs,
      redisBudgetMs: config.cache.budgetMs,
      maxValueBytes: config.cache.maxValueBytes,
      compression: config.cache.compression,
      loadConcurrency: connections.loads,
      loadQueue: connections.loadQueue,
      identity: {
        version: VERSION,
        answersAt:
          config.metricsPort === 0 ? undefined : internalAddress(config.host, config.metricsPort),
      },
    }),
    (opened) => opened[Symbol.dispose](),
  )
  measureParts(registry, { ...parts, db, writeDb, resources })

  let isListening = false
  const isReady = () => isListening && !stopping.aborted
  const app = createApp({
    config: config.http,
    reader: overrideTtls(reader, config.cache.ttlOverridesMs),
    db,
    writeDb,
    storage: await openStorage(config.storage),
    logger,
    isReady,
    sharedBuckets: buckets && createSharedBuckets(buckets, { prefix, secret }),
    countRequest: createRequestCounter(registry),
  })
  const { host } = config

  const handle = buckets
    ? createConsoleAnswers({ db, buckets, config: config.http, prefix })
    : () => false
  const status = service.own(createStatusServer({ registry, isReady, handle }), closeServer)
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
