import { ConfigurationError } from '../shared/errors.ts'
import { ensureConsole } from './build-console.ts'
import { ignoreClosedPipe } from './closed-pipe.ts'
import { describeFailure } from './describe-failure.ts'
import { stateDir } from './paths.ts'
import { readStartConfig, type StartConfig } from './start/config.ts'
import { startDefaultSystem } from './start/default-system.ts'
import { checkGivenDatabase } from './start/given-database.ts'
import { instructions } from './start/instructions.ts'
import { type Service, startService, untilReady } from './start/service.ts'

const UNTIL_CACHED_MS = 5000

const stops: (() => Promise<unknown>)[] = []
const onStop = (stop: () => Promise<unknown>) => void stops.push(stop)
const print = (line: string) => console.log(line)
const isCached = ({ headers }: Response) => !headers.get('cache-status')?.includes('bypass')

ignoreClosedPipe()

/** Resolves at the first stop signal. Later ones are ignored, because terminal and npm both forward a Ctrl-C. */
const stopRequested = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'])
    process.on(signal, () => resolve())
  if (process.env.npm_lifecycle_event !== undefined) onParentExit(resolve)
})

try {
  await Promise.race([runUntilServiceEnds(), stopRequested])
  print('stopping')
} catch (error) {
  process.exitCode = 1
  console.error(describeFailure(error))
}
for (const stop of stops.toReversed()) {
  await stop().catch((error: unknown) => {
    process.exitCode = 1
    console.error(error)
  })
}
// Ends startup work that is still pending.
process.exit()

async function runUntilServiceEnds(): Promise<never> {
  const config = await readStartConfig(process.env)
  const pageBuilt = ensureConsole().catch((error: unknown) => {
    print(`could not build the page of the console: ${String(describeFailure(error))}`)
  })
  if (config.databaseUrl !== undefined) await checkGivenDatabase(config.databaseUrl)
  const made =
    config.databaseUrl === undefined
      ? await startDefaultSystem({ stateDir, env: process.env, print, onStop })
      : undefined
  const databaseUrl = config.databaseUrl ?? made?.databaseUrl ?? ''
  const redisUrl = config.redisUrl ?? made?.redisUrl
  await pageBuilt
  const services = await startServices(config, {
    ...process.env,
    // The services write to a pipe, even if this process writes to a terminal.
    LOG_FORMAT: process.env.LOG_FORMAT ?? 'text',
    DATABASE_URL: databaseUrl,
    ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
    ...(made && { MEDIA_ROOT: made.mediaRoot }),
    ...(made && !process.env.SESSION_SECRETS && { SESSION_SECRETS: made.sessionSecrets }),
  })
  const ended = Promise.race(services.map(unexpectedEnd))

  const api = `http://127.0.0.1:${config.port}`
  const apiMetrics = `http://127.0.0.1:${config.apiMetricsPort}`
  const invalidatorMetrics =
    redisUrl === undefined ? undefined : `http://127.0.0.1:${config.invalidatorMetricsPort}`
  const giveUp = new AbortController()
  const ready = [api, invalidatorMetrics].filter((url) => url !== undefined)
  await Promise.race([
    Promise.all(ready.map((url) => untilReady(`${url}/readyz`, giveUp.signal))),
    ended.finally(() => giveUp.abort()),
  ])
  if (made && config.cacheEnabled) await untilCached(api)
  print(instructions({ api, apiMetrics, invalidatorMetrics, databaseUrl, redisUrl }, made))
  return ended
}

/** Waits until the API uses Redis. It may be ready earlier, and the first example command should show a cached response. */
function untilCached(api: string): Promise<void> {
  const timeout = AbortSignal.timeout(UNTIL_CACHED_MS)
  return untilReady(`${api}/api/v1/users/staffprofiles`, timeout, isCached)
}

/** Starts the API, and the invalidator if there is a Redis. */
async function startServices(config: StartConfig, env: NodeJS.ProcessEnv): Promise<Service[]> {
  const services: Service[] = []
  onStop(() => Promise.all(services.map((service) => service.stop())))
  services.push(
    await startService({
      name: 'api',
      main: 'api/main.ts',
      colour: 'cyan',
      env: { ...env, PORT: `${config.port}`, METRICS_PORT: `${config.apiMetricsPort}` },
    }),
  )
  if (env.REDIS_URL) {
    services.push(
      await startService({
        name: 'invalidator',
        main: 'invalidator/main.ts',
        colour: 'magenta',
        env: { ...env, METRICS_PORT: `${config.invalidatorMetricsPort}` },
      }),
    )
  }
  return services
}

async function unexpectedEnd({ name, ended }: Service): Promise<never> {
  const how = await ended
  throw new ConfigurationError(`the ${name} ended unexpectedly (${how}): stopping everything`)
}

function onParentExit(act: () => void): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) act()
  }, 500).unref()
}
