import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { install } from '../../../db/event-log/install.ts'
import { compileRules } from '../../../shared/cache/compile.ts'
import { keyParser, watermarkKey } from '../../../shared/cache/key.ts'
import { catalog } from '../../../shared/resources/index.ts'
import { createSessions } from '../../../api/session/session.ts'
import { createProxy, type Proxy } from '../../support/chaos-proxy.ts'
import { runCli } from '../../support/cli.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/private-postgres.ts'
import { type PrivateRedis, startPrivateRedis } from '../../support/private-redis.ts'
import { startSystem, type System, SYSTEM_SECRET } from '../../support/system.ts'
import { createRoles, type Role } from './roles.ts'
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
  /** Empties the event log, as an operator does; `false` where that is refused. */
  emptyLog(): Promise<boolean>
  /** Gives the roles of the services once more what the documentation gives them. */
  grant(): Promise<void>
  /** The address of a database for a role of the services. */
  urlFor(role: Role, url: string): string
  readonly keys: Keys
  readonly system: System
  /** An API that reads Postgres and nothing else. */
  readonly uncached: Pick<System, 'apis'>
  /** A session of a superuser. */
  readonly session: string
  readonly paths: Paths
  /** The address of a database for writers, by the path that leads to the primary. */
  readonly writersUrl: string
  /** The same for a role whose transactions may be prepared. */
  readonly preparedUrl: string
}

/** Names in Redis. */
export interface Keys {
  /** All of them begin with it. */
  readonly prefix: string
  /** The hash that holds all watermarks. */
  readonly watermark: string
  /** Whether a key holds an entry. */
  isEntry(key: string): boolean
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
  const roles = createRoles()
  let postgres: PrivatePostgres = own(
    await startPrivatePostgres({ seeded: false, settings: SETTINGS, install: roles.install }),
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
  const system = own(
    await startSystem({
      databaseUrl: paths.writersToPostgres.url,
      redisUrl: redis.url,
      ...(options.logPath !== undefined && { logPath: options.logPath }),
      apis: APIS,
      env: { MAX_STALENESS_MS: `${MAX_STALENESS_MS}` },
      apiEnv: {
        DATABASE_URL: roles.urlFor('spms_api', paths.apisToPostgres.url),
        REDIS_URL: paths.apisToRedis.url,
        // Longer than any fault keeps a lock: a request that gives up would count as unanswered.
        LOCK_TIMEOUT_MS: '20000',
        LOAD_TIMEOUT_MS: '25000',
        WRITE_TIMEOUT_MS: '25000',
        ...loading(options.replaceInApis),
        ...options.apiEnv,
      },
      invalidatorEnv: {
        DATABASE_URL: roles.urlFor('spms_invalidator', paths.invalidatorsToPostgres.url),
        REDIS_URL: paths.invalidatorsToRedis.url,
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
      const target = { databaseUrl, redisUrl: redis.url, prefix: system.prefix }
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
