import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { install } from '../../../db/event-log/index.ts'
import { compileRules, keyParser, watermarkKey } from '../../../shared/cache/index.ts'
import { catalog } from '../../../shared/resources/index.ts'
import { createSessions } from '../../../api/session/session.ts'
import { createProxy, type Proxy } from '../../support/chaos-proxy.ts'
import { runCli } from '../../support/cli.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/private-postgres.ts'
import { type PrivateRedis, startPrivateRedis } from '../../support/private-redis.ts'
import { startSystem, type System, SYSTEM_SECRET } from '../../support/system.ts'
import { createRoles, type Role } from './roles.ts'
import { type ClusterStage, openClusterStage } from './cluster.ts'
import { type Standby, startStandby } from './standby.ts'

/** Small enough to be reached often in a run, and large enough for a busy machine. */
export const MAX_STALENESS_MS = 2_500

const APIS = 2
const SETTINGS = { max_prepared_transactions: 20, wal_keep_size: '128MB' }
const FILES = ['world/history.sql', 'world/world.sql']

/** The system under test, with proxies between its parts. */
export interface Stage extends AsyncDisposable {
  /** The current primary. */
  readonly postgres: PrivatePostgres
  readonly redis: PrivateRedis
  /** `null` with a single Redis. With a cluster `redis` and its paths are not used. */
  readonly redisCluster: ClusterStage | null
  /** Connects all services to another server from now on. */
  replacePostgres(next: PrivatePostgres): void
  replaceRedis(next: PrivateRedis): void
  /** Starts a standby that replicates from the primary through a proxy. */
  addStandby(): Promise<{ standby: Standby; replication: Proxy }>
  /** Registers a resource that is disposed of with the stage. */
  own<T extends AsyncDisposable>(one: T): T
  /** Runs `install`, as an operator does when triggers are damaged. */
  repair(): Promise<void>
  /** Runs `empty-log`, as an operator does. Returns `false` if it fails. */
  emptyLog(): Promise<boolean>
  /** Repeats the documented grants for the roles of the services. */
  grant(): Promise<void>
  /** Returns the URL of a database with one of the roles. */
  urlFor(role: Role, url: string): string
  readonly keys: Keys
  readonly system: System
  /** An API without a cache. */
  readonly uncached: Pick<System, 'apis'>
  /** Session token of a superuser. */
  readonly session: string
  readonly paths: Paths
  /** Database URL for writers, through the proxy to the primary. */
  readonly writersUrl: string
  /** The same with a role whose transactions can be prepared. */
  readonly preparedUrl: string
}

/** Keys in Redis. */
export interface Keys {
  /** Common prefix of all keys. */
  readonly prefix: string
  /** The hash that holds all watermarks. */
  readonly watermark: string
  /** Whether a key holds an entry. */
  isEntry(key: string): boolean
}

/** The proxies between services and servers. */
export interface Paths {
  readonly writersToPostgres: Proxy
  readonly apisToPostgres: Proxy
  readonly invalidatorsToPostgres: Proxy
  readonly apisToRedis: Proxy
  readonly invalidatorsToRedis: Proxy
}

export interface StageOptions {
  /** Modules that the processes preload to replace a part of themselves. */
  readonly replaceInApis?: string
  readonly replaceInInvalidators?: string
  /** Additional environment of the APIs. */
  readonly apiEnv?: NodeJS.ProcessEnv
  /** Whether the services use a Redis Cluster. By default one server. */
  readonly isCluster?: boolean
  /** Log file of the processes; by default none. */
  readonly logPath?: string
}

/** Starts private servers and processes, and inserts the test data. */
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
  const roles = createRoles()
  let postgres: PrivatePostgres = own(
    await startPrivatePostgres({ seeded: false, settings: SETTINGS, install: roles.install }),
  )
  let redis = own(await startPrivateRedis())
  const redisCluster = options.isCluster === true ? own(await openClusterStage()) : null
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
  const system = own(
    await startSystem({
      databaseUrl: paths.writersToPostgres.url,
      redisUrl: redisCluster?.cluster.url ?? redis.url,
      ...(options.logPath !== undefined && { logPath: options.logPath }),
      apis: APIS,
      env: { MAX_STALENESS_MS: `${MAX_STALENESS_MS}` },
      apiEnv: {
        DATABASE_URL: roles.urlFor('spms_api', paths.apisToPostgres.url),
        REDIS_URL: redisCluster?.apiUrl ?? paths.apisToRedis.url,
        // Longer than any fault holds a lock: a request that times out would count as unanswered.
        LOCK_TIMEOUT_MS: '20000',
        LOAD_TIMEOUT_MS: '25000',
        WRITE_TIMEOUT_MS: '25000',
        ...loading(options.replaceInApis),
        ...options.apiEnv,
      },
      invalidatorEnv: {
        DATABASE_URL: roles.urlFor('spms_invalidator', paths.invalidatorsToPostgres.url),
        REDIS_URL: redisCluster?.invalidatorUrl ?? paths.invalidatorsToRedis.url,
        ...loading(options.replaceInInvalidators),
      },
    }),
  )
  const uncached = await system.addApi({
    CACHE_ENABLED: 'false',
    DATABASE_URL: roles.urlFor('spms_api', paths.writersToPostgres.url),
  })
  const parsers = catalog.map((resource) => keyParser(system.prefix, resource))
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
    redisCluster,
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
      const url = roles.urlFor('spms_owner', paths.writersToPostgres.url)
      await install(url, compileRules(catalog))
    },
    async emptyLog() {
      const databaseUrl = roles.urlFor('spms_owner', postgres.url)
      const target = {
        databaseUrl,
        redisUrl: redisCluster?.cluster.url ?? redis.url,
        prefix: system.prefix,
      }
      const { code } = await runCli(target, 'empty-log')
      return code === 0
    },
    grant: () => roles.grant(postgres.url),
    urlFor: roles.urlFor,
    keys: {
      prefix: system.prefix,
      watermark: watermarkKey(system.prefix),
      isEntry: (key) => parsers.some((parse) => parse(key) !== null),
    },
    system,
    uncached: { apis: [uncached.address] },
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
    alter role preparing set invalidation.notify = off;
    alter database spms set invalidation.notify = on;
  `)
  await client.end()
}

const loading = (module: string | undefined): NodeJS.ProcessEnv =>
  module === undefined ? {} : { NODE_OPTIONS: `--import=tsx --import=${module}` }
