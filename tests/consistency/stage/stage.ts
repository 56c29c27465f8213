import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { install } from '../../../db/event-log/install.ts'
import { compileRules } from '../../../shared/cache/compile.ts'
import { catalog } from '../../../shared/resources/index.ts'
import { createSessions } from '../../../api/session/session.ts'
import { createProxy, type Proxy } from '../../support/chaos-proxy.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/private-postgres.ts'
import { type PrivateRedis, startPrivateRedis } from '../../support/private-redis.ts'
import { startSystem, type System, SYSTEM_SECRET } from '../../support/system.ts'
import { type Standby, startStandby } from './standby.ts'

/** Small, so that a run sees it reached often; not so small that a busy machine does not. */
export const MAX_STALENESS_MS = 2_500

const APIS = 2
const SETTINGS = { max_prepared_transactions: 20, wal_keep_size: '128MB' }
const FILES = ['world/history.sql', 'world/world.sql']

/** Everything that is put to the test, and ways to come between its parts. */
export interface Stage extends AsyncDisposable {
  /** Which is the primary now. */
  readonly postgres: PrivatePostgres
  readonly redis: PrivateRedis
  /** Everybody is led to another one from now on. */
  replacePostgres(next: PrivatePostgres): void
  replaceRedis(next: PrivateRedis): void
  /** A standby of the primary that follows it through an address that may be cut. */
  addStandby(): Promise<{ standby: Standby; replication: Proxy }>
  /** Something that is closed with the stage. */
  own<T extends AsyncDisposable>(one: T): T
  /** Installs triggers anew, as an operator does who was told that they are damaged. */
  repair(): Promise<void>
  readonly system: System
  /** An API that reads Postgres and nothing else. */
  readonly uncached: System
  /** A session of a superuser. */
  readonly session: string
  readonly paths: Paths
  /** The address of a database for writers, by the path that leads to the primary. */
  readonly writersUrl: string
  /** The same for a role whose transactions may be prepared. */
  readonly preparedUrl: string
}

/** Between whom, and by which of these who talks. */
export interface Paths {
  readonly writersToPostgres: Proxy
  readonly apisToPostgres: Proxy
  readonly invalidatorsToPostgres: Proxy
  readonly apisToRedis: Proxy
  readonly invalidatorsToRedis: Proxy
}

export interface StageOptions {
  /** Loaded by the processes before anything else, to replace a part of them. */
  readonly replaceInApis?: string
  readonly replaceInInvalidators?: string
  /** More environment for the APIs. */
  readonly apiEnv?: NodeJS.ProcessEnv
  /** Where the processes say what went wrong; by default nowhere. */
  readonly logPath?: string
}

/** Starts servers and processes of their own, and fills the world. */
export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const opened: AsyncDisposable[] = []
  const close = async () => {
    for (const one of opened.toReversed()) await one[Symbol.asyncDispose]()
  }
  const own = <T extends AsyncDisposable>(one: T): T => {
    opened.push(one)
    return one
  }
  try {
    return Object.assign(await open(options, own), { [Symbol.asyncDispose]: close })
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  options: StageOptions,
  own: <T extends AsyncDisposable>(one: T) => T,
): Promise<Omit<Stage, keyof AsyncDisposable>> {
  let postgres: PrivatePostgres = own(
    await startPrivatePostgres({ seeded: false, settings: SETTINGS }),
  )
  let redis = own(await startPrivateRedis())
  await fill(postgres.url)

  const stand = async (target: string) => {
    const proxy = own(await createProxy(target))
    await proxy.listen()
    return proxy
  }
  const paths: Paths = {
    writersToPostgres: await stand(postgres.url),
    apisToPostgres: await stand(postgres.url),
    invalidatorsToPostgres: await stand(postgres.url),
    apisToRedis: await stand(redis.url),
    invalidatorsToRedis: await stand(redis.url),
  }
  const common = {
    databaseUrl: paths.writersToPostgres.url,
    redisUrl: redis.url,
    ...(options.logPath !== undefined && { logPath: options.logPath }),
  }
  const [system, uncached] = await Promise.all([
    startSystem({
      ...common,
      apis: APIS,
      env: { MAX_STALENESS_MS: `${MAX_STALENESS_MS}` },
      apiEnv: {
        DATABASE_URL: paths.apisToPostgres.url,
        REDIS_URL: paths.apisToRedis.url,
        ...loading(options.replaceInApis),
        ...options.apiEnv,
      },
      invalidatorEnv: {
        DATABASE_URL: paths.invalidatorsToPostgres.url,
        REDIS_URL: paths.invalidatorsToRedis.url,
        ...loading(options.replaceInInvalidators),
      },
    }).then(own),
    startSystem({ ...common, env: { CACHE_ENABLED: 'false' } }).then(own),
  ])
  await uncached.invalidator.kill()
  const prepared = new URL(paths.writersToPostgres.url)
  prepared.username = 'preparing'
  prepared.password = 'preparing'

  return {
    get postgres() {
      return postgres
    },
    get redis() {
      return redis
    },
    replacePostgres(next) {
      postgres = next
      for (const path of [
        paths.writersToPostgres,
        paths.apisToPostgres,
        paths.invalidatorsToPostgres,
      ]) {
        path.lead(next.url)
      }
    },
    replaceRedis(next) {
      redis = next
      for (const path of [paths.apisToRedis, paths.invalidatorsToRedis]) path.lead(next.url)
    },
    async addStandby() {
      const replication = await stand(postgres.url)
      return { replication, standby: own(await startStandby(postgres, SETTINGS, replication.url)) }
    },
    own,
    async repair() {
      await install(paths.writersToPostgres.url, compileRules(catalog))
    },
    system,
    uncached,
    paths,
    session: await createSessions([SYSTEM_SECRET]).issue('1', 'hash-1'),
    writersUrl: paths.writersToPostgres.url,
    preparedUrl: prepared.href,
  }
}

async function fill(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  for (const file of FILES) {
    await client.query(await readFile(new URL(`../${file}`, import.meta.url), 'utf8'))
  }
  await client.query(`
    create role preparing superuser login password 'preparing';
    alter role preparing set invalidation.bell = off;
    alter database spms set invalidation.bell = on;
  `)
  await client.end()
}

const loading = (module: string | undefined): NodeJS.ProcessEnv =>
  module === undefined ? {} : { NODE_OPTIONS: `--import=tsx --import=${module}` }
