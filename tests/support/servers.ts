import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../scripts/error-code.ts'
import { stateDir } from '../../scripts/paths.ts'
import { findPlace } from '../../scripts/servers/place.ts'
import { findServerUser } from '../../scripts/servers/os-user.ts'
import { startPostgres } from '../../scripts/servers/postgres.ts'
import { startRedis } from '../../scripts/servers/redis.ts'
import { startPrivateSentinels } from './private-sentinels.ts'
import { startPrivateTlsRedis } from './private-tls-redis.ts'

/** Ends a server of the test run. */
type Stop = () => Promise<unknown>

const stops: Stop[] = []

/**
 * Starts one Postgres and one Redis for the whole run, and leaves their addresses in
 * `TEST_DATABASE_URL` (superuser, database `postgres`) and `TEST_REDIS_URL`.
 */
export async function mochaGlobalSetup(): Promise<void> {
  endWithParent()
  const { env } = process
  if (env.TEST_DATABASE_URL && env.TEST_REDIS_URL) return
  const start = env.TEST_SERVICES === 'containers' ? startContainers : startEmbedded
  const {
    databaseUrl,
    redisUrl,
    redisServerUrl = redisUrl,
  } = await start(env).catch(async (error: unknown) => {
    // Mocha tears down only what was set up.
    await mochaGlobalTeardown()
    throw error
  })
  env.TEST_DATABASE_URL = databaseUrl
  env.TEST_REDIS_URL = redisUrl
  env.TEST_REDIS_SERVER_URL = redisServerUrl
}

/** Ends what the setup started, newest first. */
export async function mochaGlobalTeardown(): Promise<void> {
  for (const stop of stops.toReversed()) await stop()
}

interface Services {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** One server of it, for what stands between. */
  readonly redisServerUrl?: string
}

async function startEmbedded(env: NodeJS.ProcessEnv): Promise<Services> {
  const place = await findPlace(stateDir, await findServerUser(), say)
  await removeLeftovers(place)
  const name = `test-${process.pid}`
  stops.push(() => rm(join(place, name), { recursive: true, force: true }))
  stops.push(() => rm(join(stateDir, `${name}.log`), { force: true }))
  const postgres = await startPostgres({ stateDir, name, durable: false, say })
  stops.push(() => postgres.stop())
  return { databaseUrl: postgres.url, ...(await startEmbeddedRedis(env)) }
}

/** The kind that `TEST_REDIS` names; everything that speaks to Redis is tested on each. */
async function startEmbeddedRedis(env: NodeJS.ProcessEnv) {
  if (env.TEST_REDIS === 'sentinels') {
    const redis = await startPrivateSentinels(60_000)
    stops.push(async () => redis[Symbol.asyncDispose]())
    return { redisUrl: redis.url, redisServerUrl: redis.firstUrl }
  }
  if (env.TEST_REDIS === 'tls') {
    const redis = await startPrivateTlsRedis()
    stops.push(async () => redis[Symbol.asyncDispose]())
    // Node reads who is to be trusted when it starts; that it checks has a test of its own.
    env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    return { redisUrl: redis.url, redisServerUrl: redis.serverUrl }
  }
  const redis = await startRedis({ stateDir, env, say })
  stops.push(() => redis.stop())
  return { redisUrl: redis.url }
}

async function startContainers(env: NodeJS.ProcessEnv): Promise<Services> {
  const [{ PostgreSqlContainer }, { RedisContainer }] = await Promise.all([
    import('@testcontainers/postgresql'),
    import('@testcontainers/redis'),
  ])
  const postgres = await new PostgreSqlContainer(env.TEST_POSTGRES_IMAGE ?? 'postgres:17-alpine')
    .withDatabase('postgres')
    .withUsername('postgres')
    .withCommand(['postgres', '-c', 'max_connections=200', '-c', 'fsync=off'])
    .start()
  stops.push(() => postgres.stop())
  const redis = await new RedisContainer(env.TEST_REDIS_IMAGE ?? 'redis:7-alpine').start()
  stops.push(() => redis.stop())
  return { databaseUrl: postgres.getConnectionUri(), redisUrl: redis.getConnectionUrl() }
}

/** Mocha runs the tests in a child of its own, which would outlive it. */
function endWithParent(): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, 500).unref()
}

/** Folders of test runs that were ended before they could tidy up. */
async function removeLeftovers(place: string): Promise<void> {
  for (const folder of new Set([place, stateDir])) {
    for (const name of await readdir(folder)) {
      const pid = /^test-(\d+)(\.log)?$/.exec(name)?.[1]
      if (pid && !isAlive(Number(pid))) {
        await rm(join(folder, name), { recursive: true, force: true })
      }
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

const say = (line: string) => void process.stderr.write(`${line}\n`)
