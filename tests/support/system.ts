import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open as openFile } from 'node:fs/promises'
import { Client } from 'pg'
import { root } from '../../scripts/paths.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { createTestDatabase } from './database.ts'
import { newPrefix, testRedisUrl } from './invalidator.ts'
import { compiled } from './compiled.ts'
import { until } from './until.ts'

export interface SystemOptions {
  /** Number of API processes. */
  readonly apis?: number
  /** Database with seed and triggers; by default a new one. */
  readonly databaseUrl?: string
  /** By default the Redis of the test run. */
  readonly redisUrl?: string
  /** Key prefix; by default a unique one. */
  readonly prefix?: string
  /** Additional environment of all processes. */
  readonly env?: NodeJS.ProcessEnv
  /** Additional environment of the APIs only, and of the invalidators only. */
  readonly apiEnv?: NodeJS.ProcessEnv
  readonly invalidatorEnv?: NodeJS.ProcessEnv
  /** SQL that inserts the data, instead of the seed. */
  readonly world?: string
  /** Log file of all processes; by default none. */
  readonly logPath?: string
}

/** API processes and an invalidator on their own seeded database, as with `npm start`. */
export interface System extends AsyncDisposable {
  readonly databaseUrl: string
  readonly prefix: string
  /** Base addresses of the APIs, without `/api/v1`. */
  readonly apis: readonly string[]
  /** A superuser's connection to the database. */
  readonly sql: Client
  readonly invalidator: Invalidator
  /**
   * Replaces an API as in a rolling deployment: starts a new process with additional environment, then
   * stops the old one gracefully.
   */
  replaceApi(api: number, env?: NodeJS.ProcessEnv): Promise<void>
  /**
   * Starts one more invalidator with additional environment. Resolves when it is ready, or with
   * `mayStandBy` when it is alive.
   */
  addInvalidator(env?: NodeJS.ProcessEnv, options?: { mayStandBy?: boolean }): Promise<Invalidator>
  /** Starts one more API with additional environment. It is not in `apis`. */
  addApi(env?: NodeJS.ProcessEnv): Promise<AddedApi>
  /** Sends a GET request for a path below `/api/v1`, by default to the first API. */
  get(path: string, headers?: Record<string, string>, api?: number): Promise<Reply>
  /** Returns the text of `/metrics` of each running process. */
  scrape(): Promise<readonly string[]>
  /** Returns the sum of a metric over all running processes, for samples whose labels contain `labels`. */
  metric(name: string, labels?: string): Promise<number>
}

/** An invalidator process that a test can stop and restart. */
export interface Invalidator {
  /** Address of its console. It stays the same when the process is started again. */
  readonly console: string
  /** Process id. It changes when the process is started again. */
  readonly pid: number
  /** Stops it with SIGKILL. */
  kill(): Promise<void>
  /** Starts it unless it runs, and waits until it is ready. */
  start(): Promise<void>
  /** Starts a new process, then stops the old one gracefully, as in a deployment. */
  replace(): Promise<void>
  /** Suspends it with SIGSTOP. */
  freeze(): void
  thaw(): void
}

/** An additional API process. */
export interface AddedApi {
  readonly address: string
  stop(): Promise<void>
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The first parameter of `Cache-Status`: `hit`, `fwd=miss`, ... */
  readonly cache: string | undefined
}

/** Secret that signs the sessions of a system. */
export const SYSTEM_SECRET = 'a secret that only the tests know of and no other'

/** Starts a system and waits until its APIs use the cache. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const closer of closers.toReversed()) await closer()
  }
  try {
    return await openSystem(options, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function openSystem(
  { apis: count = 1, databaseUrl, redisUrl = testRedisUrl(), world, ...more }: SystemOptions,
  closers: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<System> {
  const url = databaseUrl ?? (await ownDatabase(closers, world === undefined))
  const sql = new Client({ connectionString: url })
  // Some tests stop the server.
  sql.on('error', () => {})
  await sql.connect()
  closers.push(() => sql.end())
  if (world !== undefined) await sql.query(world)

  const { prefix = newPrefix() } = more
  const common = {
    ...process.env,
    DATABASE_URL: url,
    REDIS_URL: redisUrl,
    CACHE_PREFIX: prefix,
    SESSION_SECRETS: SYSTEM_SECRET,
    RATE_LIMIT_PER_S: '0',
    // The number of iterations in the hashes of the seed.
    PASSWORD_ITERATIONS: '1000',
    SEARCHES_PER_MINUTE: '0',
    EXPORTS_PER_MINUTE: '0',
    LOG_LEVEL: 'error',
    NODE_ENV: 'production',
    ...more.env,
  }
  const living = new Set<Service>()
  const open = async (
    main: string,
    env: NodeJS.ProcessEnv = {},
    { mayStandBy = false, port }: { mayStandBy?: boolean; port?: number } = {},
  ) => {
    const service = await startOne(main, { ...common, ...env }, more.logPath, port)
    living.add(service)
    closers.push(() => service.stop())
    const path = mayStandBy ? 'livez' : 'readyz'
    await Promise.race([until(() => answers(`${service.metrics}/${path}`)), service.failed])
    return service
  }
  const addInvalidator: System['addInvalidator'] = async (env, { mayStandBy } = {}) => {
    const startProcess = (port?: number) =>
      open(
        'invalidator/main.ts',
        { ...more.invalidatorEnv, ...env },
        { mayStandBy: mayStandBy ?? false, ...(port !== undefined && { port }) },
      )
    let service = await startProcess()
    let starting: Promise<Service> | undefined
    return {
      get console() {
        return service.metrics
      },
      get pid() {
        return service.pid
      },
      async kill() {
        living.delete(service)
        await service.stop('SIGKILL')
      },
      async start() {
        if (living.has(service)) return
        starting ??= startProcess(service.metricsPort).finally(() => (starting = undefined))
        service = await starting
      },
      async replace() {
        const old = service
        service = await startProcess()
        living.delete(old)
        await old.stop()
      },
      freeze() {
        living.delete(service)
        service.signal('SIGSTOP')
      },
      thaw() {
        living.add(service)
        service.signal('SIGCONT')
      },
    }
  }
  const [invalidator, ...apis] = await Promise.all([
    addInvalidator(),
    ...Array.from({ length: count }, () => open('api/main.ts', more.apiEnv)),
  ])
  const get: System['get'] = async (path, headers = {}, api = 0) => {
    const response = await fetch(`${apis[api]?.address}/api/v1/${path}`, { headers })
    return {
      status: response.status,
      headers: response.headers,
      text: await response.text(),
      cache: response.headers.get('cache-status')?.split('; ')[1],
    }
  }
  for (const [api] of apis.entries()) {
    await until(async () => {
      const { headers } = await get('users/staffprofiles', {}, api)
      return !headers.get('cache-status')?.includes('detail=redis')
    })
  }
  const scrape = () =>
    Promise.all([...living].map(async ({ metrics }) => (await fetch(`${metrics}/metrics`)).text()))
  return {
    databaseUrl: url,
    prefix,
    get apis() {
      return apis.map(({ address }) => address)
    },
    sql,
    invalidator,
    async replaceApi(api, env) {
      const old = apis[api] as Service
      apis[api] = await open('api/main.ts', { ...more.apiEnv, ...env })
      living.delete(old)
      await old.stop()
    },
    addInvalidator,
    async addApi(env) {
      const service = await open('api/main.ts', { ...more.apiEnv, ...env })
      return {
        address: service.address,
        async stop() {
          living.delete(service)
          await service.stop()
        },
      }
    },
    get,
    scrape,
    async metric(name, labels = '') {
      return (await scrape())
        .flatMap((text) => text.split('\n'))
        .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
    [Symbol.asyncDispose]: close,
  }
}

async function ownDatabase(closers: (() => Promise<unknown>)[], seeded: boolean): Promise<string> {
  const database = await createTestDatabase({ installed: true, seeded })
  closers.push(async () => database[Symbol.asyncDispose]())
  return database.url
}

type Service = Awaited<ReturnType<typeof startOne>>

async function startOne(
  main: string,
  env: NodeJS.ProcessEnv,
  logPath?: string,
  givenMetricsPort?: number,
) {
  const [port, metricsPort] = [await findFreePort(), givenMetricsPort ?? (await findFreePort())]
  const log = logPath === undefined ? null : await openFile(logPath, 'a')
  // A preloaded module replaces parts of packages, of which a compiled program contains its own copy.
  const isReplaced = env.NODE_OPTIONS?.includes('--import') === true
  const child = spawn(process.execPath, [isReplaced ? main : await compiled(main)], {
    cwd: root,
    env: { ...env, PORT: `${port}`, METRICS_PORT: `${metricsPort}`, SPMS_PARENT_FD: '3' },
    // Stdout is not shown, since some tests cause errors on purpose.
    stdio: ['ignore', log?.fd ?? 'ignore', 'inherit', 'pipe'],
  })
  await log?.close()
  child.stdio[3]?.on('error', () => {})
  const ended = once(child, 'exit')
  let stopping = false
  const failed = ended.then(() => {
    if (!stopping) throw new Error(`${main} ended`)
  })
  failed.catch(() => {})
  return {
    failed,
    pid: child.pid ?? 0,
    metricsPort,
    address: `http://127.0.0.1:${port}`,
    metrics: `http://127.0.0.1:${metricsPort}`,
    signal: (signal: NodeJS.Signals) => child.kill(signal),
    async stop(signal: NodeJS.Signals = 'SIGTERM') {
      stopping = true
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal)
        // A suspended process handles SIGTERM only after SIGCONT.
        child.kill('SIGCONT')
      }
      await ended
    },
  }
}

const answers = (url: string) =>
  fetch(url).then(
    (response) => response.ok,
    () => false,
  )
