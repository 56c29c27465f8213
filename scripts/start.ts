import { ConfigurationError } from '../shared/errors.ts'
import { ignoreClosedPipe } from './closed-pipe.ts'
import { describeFailure } from './describe-failure.ts'
import { stateDir } from './paths.ts'
import { readStartConfig, type StartConfig } from './start/config.ts'
import { startDefaultServers } from './start/default-servers.ts'
import { checkGivenDatabase } from './start/given-database.ts'
import { instructions } from './start/instructions.ts'
import { type Service, startService, untilReady } from './start/service.ts'

const UNTIL_CACHED_MS = 5000

const stops: (() => Promise<unknown>)[] = []
const onStop = (stop: () => Promise<unknown>) => void stops.push(stop)
const print = (line: string) => console.log(line)
const isCached = ({ headers }: Response) => !headers.get('cache-status')?.includes('bypass')

ignoreClosedPipe()

/** Resolves when we are asked to stop. Again is not more: a terminal and npm both pass a Ctrl-C on. */
const asked = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'])
    process.on(signal, () => resolve())
  if (process.env.npm_lifecycle_event !== undefined) onParentExit(resolve)
})

try {
  await Promise.race([runUntilServiceEnds(), asked])
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
// What was still being started ends with us.
process.exit()

async function runUntilServiceEnds(): Promise<never> {
  const config = await readStartConfig(process.env)
  if (config.databaseUrl !== undefined) await checkGivenDatabase(config.databaseUrl)
  const made =
    config.databaseUrl === undefined
      ? await startDefaultServers({ stateDir, env: process.env, print, onStop })
      : undefined
  const databaseUrl = config.databaseUrl ?? made?.databaseUrl ?? ''
  const redisUrl = config.redisUrl ?? made?.redisUrl
  const services = await startServices(config, {
    ...process.env,
    // Our own output may be a terminal; theirs is a pipe.
    LOG_FORMAT: process.env.LOG_FORMAT ?? 'text',
    DATABASE_URL: databaseUrl,
    ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
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

/** A started api may not have met its Redis yet; the first command to try should show the cache. */
function untilCached(api: string): Promise<void> {
  const patience = AbortSignal.timeout(UNTIL_CACHED_MS)
  return untilReady(`${api}/api/v1/users/staffprofiles`, patience, isCached)
}

/** Without a Redis there is nothing to invalidate. */
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
