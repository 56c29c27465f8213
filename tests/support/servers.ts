import { errorCode } from '../../db/event-log/index.ts'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stateDir } from '../../scripts/paths.ts'
import { findServerFolder } from '../../scripts/servers/server-folder.ts'
import { findServerUser } from '../../scripts/servers/os-user.ts'
import { startPostgres } from '../../scripts/servers/postgres.ts'
import { startRedis } from '../../scripts/servers/redis.ts'
import { startPrivateCluster } from './private-cluster.ts'
import { startPrivateSentinels } from './private-sentinels.ts'
import { startPrivateTlsRedis } from './private-tls-redis.ts'

/** Stops a server of the test run. */
type Stop = () => Promise<unknown>

const stops: Stop[] = []

/**
 * Starts a Postgres and a Redis for each job of the run. Sets `TEST_DATABASE_URL` (superuser,
 * database `postgres`) and `TEST_REDIS_URL` to those of this job. Jobs share no server, since a
 * test may flush its Redis or change its settings.
 */
export async function mochaGlobalSetup(): Promise<void> {
  endWithParent()
  const { env } = process
  if (env.TEST_DATABASE_URL && env.TEST_REDIS_URL) return
  const start = env.TEST_SERVICES === 'containers' ? startContainers : startEmbedded
  try {
    // Sequential: the first start may have to unpack the programs.
    for (let job = 0; job < jobsOf(process.argv); job++) {
      Object.assign(env, addressesOf(await start(env, job), `_${job}`))
    }
  } catch (error) {
    // Mocha does not call the teardown after a failed setup.
    await mochaGlobalTeardown()
    throw error
  }
  useServersOfJob(0)
}

function addressesOf(
  { databaseUrl, redisUrl, redisServerUrl = redisUrl }: Services,
  suffix: string,
): Record<string, string> {
  return {
    [`TEST_DATABASE_URL${suffix}`]: databaseUrl,
    [`TEST_REDIS_URL${suffix}`]: redisUrl,
    [`TEST_REDIS_SERVER_URL${suffix}`]: redisServerUrl,
  }
}

/** Returns how many files mocha runs in parallel. */
function jobsOf(argv: readonly string[]): number {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: { parallel: { type: 'boolean' }, jobs: { type: 'string' } },
    strict: false,
  })
  return values.parallel === true ? Number(values.jobs) : 1
}

function useServersOfJob(job: number | string): void {
  const { env } = process
  for (const name of ['TEST_DATABASE_URL', 'TEST_REDIS_URL', 'TEST_REDIS_SERVER_URL']) {
    env[name] = env[`${name}_${job}`] ?? env[name]
  }
}

// Mocha loads this file in each worker, but runs the setup only in the parent.
if (process.env.MOCHA_WORKER_ID !== undefined) useServersOfJob(process.env.MOCHA_WORKER_ID)

/** Stops the servers that the setup started, newest first. */
export async function mochaGlobalTeardown(): Promise<void> {
  for (const stop of stops.toReversed()) await stop()
}

interface Services {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Address of one of its servers, for proxies. */
  readonly redisServerUrl?: string
}

async function startEmbedded(env: NodeJS.ProcessEnv, job: number): Promise<Services> {
  const folder = await findServerFolder(stateDir, await findServerUser(), print)
  await removeLeftovers(folder)
  const name = `test-${process.pid}-job-${job}`
  stops.push(() => rm(join(folder, name), { recursive: true, force: true }))
  stops.push(() => rm(join(stateDir, `${name}.log`), { force: true }))
  const postgres = await startPostgres({ stateDir, name, durable: false, print })
  stops.push(() => postgres.stop())
  return { databaseUrl: postgres.url, ...(await startEmbeddedRedis(env)) }
}

/** Several on each of the three masters. */
const TEST_BUCKETS = 8

/** Starts the kind of Redis that `TEST_REDIS` names. All tests that use Redis run on each kind. */
async function startEmbeddedRedis(env: NodeJS.ProcessEnv) {
  if (env.TEST_REDIS === 'sentinels') {
    const redis = await startPrivateSentinels(60_000)
    stops.push(async () => redis[Symbol.asyncDispose]())
    return { redisUrl: redis.url, redisServerUrl: redis.firstUrl }
  }
  if (env.TEST_REDIS === 'cluster') {
    const cluster = await startPrivateCluster(60_000, { replicas: false })
    stops.push(async () => cluster[Symbol.asyncDispose]())
    return { redisUrl: `${cluster.url}?buckets=${TEST_BUCKETS}` }
  }
  if (env.TEST_REDIS === 'tls') {
    const redis = await startPrivateTlsRedis()
    stops.push(async () => redis[Symbol.asyncDispose]())
    // Node reads trusted CAs only at its start. Another test checks that certificates are verified.
    env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    return { redisUrl: redis.url, redisServerUrl: redis.serverUrl }
  }
  const redis = await startRedis({ stateDir, env, print })
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

/** Exits when the parent process ends: mocha's child process would outlive it. */
function endWithParent(): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, 500).unref()
}

/** Deletes files of test runs that ended without a teardown. */
async function removeLeftovers(serverFolder: string): Promise<void> {
  for (const folder of new Set([serverFolder, stateDir])) {
    for (const name of await readdir(folder)) {
      const pid = /^test-(\d+)(?:-[\w-]+)?(?:\.log)?$/.exec(name)?.[1]
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

const print = (line: string) => void process.stderr.write(`${line}\n`)
