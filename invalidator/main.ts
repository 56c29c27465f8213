import { parseConfig } from '../shared/config.ts'
import { DOCTOR_HINT } from '../shared/doctor-hint.ts'
import { runService } from '../shared/lifecycle.ts'
import { configureLogger, createLogger } from '../shared/logger.ts'
import { createAppInstruments, createRegistry, createStatusServer } from '../shared/metrics.ts'
import { exitWithParent } from '../shared/parent-watch.ts'
import { catalog } from '../shared/resources/index.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { closeServer, listen } from '../shared/server.ts'
import { invalidatorConfig } from './config.ts'
import { runInvalidatorService } from './index.ts'

const logger = createLogger('invalidator')

await runService(logger, async (service) => {
  exitWithParent(process.env)
  const config = parseConfig(invalidatorConfig, withSecretFiles(process.env))
  configureLogger(logger, config.log)
  const registry = createRegistry()

  let isWorking = false
  const isReady = () => isWorking && !service.stopping.aborted
  const status = service.own(createStatusServer({ registry, isReady }), closeServer)
  const { host, metricsPort, prefix, redisUrl, heartbeatMs } = config
  const port = await listen(status, { host, port: metricsPort, setting: 'METRICS_PORT' })
  logger.info('started', { host, metricsPort: port })

  await runInvalidatorService(
    {
      databaseUrl: config.database.url,
      redisUrl,
      applicationName: 'spms-invalidator',
      prefix,
      catalog,
      heartbeatMs,
      instruments: createAppInstruments(registry),
      logger,
      denialHint: DOCTOR_HINT,
      onState: (state) => {
        isWorking = state
      },
    },
    service.stopping,
  )
})
