import { fileURLToPath } from 'node:url'
import { APPLICATION } from '../shared/application.ts'
import { MAX_STALENESS_MS, parseConfig } from '../shared/config.ts'
import { DOCTOR_HINT } from '../shared/doctor-hint.ts'
import { internalAddress } from '../shared/internal-address.ts'
import { runService } from '../shared/lifecycle.ts'
import { configureLogger, createLogger } from '../shared/logger.ts'
import { createAppInstruments, createRegistry, createStatusServer } from '../shared/metrics.ts'
import { exitWithParent } from '../shared/parent-watch.ts'
import { catalog } from '../shared/resources/index.ts'
import { VERSION } from '../shared/version.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { closeServer, listen } from '../shared/server.ts'
import { invalidatorConfig } from './config.ts'
import { createConsole, runInvalidatorService } from './index.ts'

const logger = createLogger('invalidator')

await runService(logger, async (service) => {
  exitWithParent(process.env)
  const config = parseConfig(invalidatorConfig, withSecretFiles(process.env))
  configureLogger(logger, config.log)
  const registry = createRegistry()

  let isWorking = false
  const isReady = () => isWorking && !service.stopping.aborted
  const { host, metricsPort, prefix, redisUrl, heartbeatMs, consoleToken: token } = config
  const console = config.consoleEnabled
    ? createConsole({
        application: APPLICATION,
        version: VERSION,
        answersAt: metricsPort === 0 ? undefined : internalAddress(host, metricsPort),
        token,
        pageFolder: fileURLToPath(new URL('console/dist', import.meta.url)),
        maxStalenessMs: MAX_STALENESS_MS,
        logger,
      })
    : undefined
  const status = service.own(
    createStatusServer({ registry, isReady, ...(console && { handle: console.handle }) }),
    closeServer,
  )
  const port = await listen(status, { host, port: metricsPort, setting: 'METRICS_PORT' })
  const address = console && `${internalAddress(host, port)}/`
  logger.info('started', { host, metricsPort: port, console: address })

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
      ...(console && { console }),
      onState: (state) => {
        isWorking = state
      },
    },
    service.stopping,
  )
})
