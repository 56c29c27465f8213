import { createServer, type Server } from 'node:http'
import { createApp } from '../../api/app.ts'
import { openDatabase } from '../../db/database.ts'
import {
  createCacheMetrics,
  createEntryStore,
  createFreshnessPolicy,
  createLoader,
  createReader,
  IncarnationTracker,
  openRedis,
  type ResourceRules,
  trackIncarnation,
  type Watermark,
} from '../../shared/cache/index.ts'
import { createLogger } from '../../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
import { catalog } from '../../shared/resources/index.ts'
import { closeServer, portOf } from '../../shared/server.ts'
import { currentConsistencyTokens } from '../../api/http/consistency.ts'
import { httpConfig } from '../routes/test-api.ts'
import { startInvalidator, type TestInvalidator, testRedisUrl } from './invalidator.ts'
import { SYSTEM_SECRET } from './system.ts'
import { createUncachedReader } from './uncached-reader.ts'
import { until } from './until.ts'
import type { Reader, Resource } from '../../shared/resources/cache.ts'

export interface BuildOptions {
  readonly databaseUrl: string
  readonly prefix: string
  /** Resources of this build that differ from the code. */
  readonly changed?: readonly Resource[]
  readonly maxStalenessMs: number
}

/** A build of the program in this process, to run beside another as in a rolling deployment. */
export interface Build {
  readonly catalog: readonly ResourceRules[]
  startApi(): Promise<BuildApi>
  startInvalidator(): Promise<TestInvalidator>
}

/** An API of a build. */
export interface BuildApi extends AsyncDisposable {
  get(path: string, headers?: Record<string, string>): Promise<BuildReply>
  /** Returns this build's answer without the cache. */
  getFresh(path: string, headers?: Record<string, string>): Promise<string>
  /** Returns the newest watermark of a resource that it has read. */
  seen(resource: string): Watermark | null
}

export interface BuildReply {
  readonly text: string
  /** Parameters of `Cache-Status`: `hit`, `fwd=bypass; detail=version`, ... */
  readonly cache: string
}

/** Defines a build that differs from the code in some resources. */
export function defineBuild({
  databaseUrl,
  prefix,
  changed = [],
  maxStalenessMs,
}: BuildOptions): Build {
  const changes = new Map(changed.map((resource) => [resource.name, resource]))
  const ownCatalog = catalog.map((resource) => changes.get(resource.name) ?? resource)
  const asBuilt = (reader: Reader): Reader => ({
    ...reader,
    read: (resource, ...rest) => reader.read(changes.get(resource.name) ?? resource, ...rest),
  })
  const logger = createLogger('test')
  logger.silent = true

  return {
    catalog: ownCatalog,

    async startInvalidator() {
      const invalidator = startInvalidator({ databaseUrl, prefix, catalog: ownCatalog })
      await until(() => invalidator.working && invalidator.connected)
      return invalidator
    },

    async startApi() {
      const db = openDatabase({ url: databaseUrl, poolSize: 8, applicationName: 'spms-test-api' })
      const redis = openRedis(testRedisUrl(), {
        name: 'spms-test-api',
        commandTimeoutMs: 5_000,
        onState: () => {},
      })
      // Long time-outs, since a busy machine must not fail the test.
      const store = createEntryStore(redis, { prefix, commandTimeoutMs: 4_000 })
      const incarnationTracker = new IncarnationTracker()
      const stopping = new AbortController()
      void trackIncarnation(db, incarnationTracker, stopping.signal)
      const cached = createReader({
        store,
        loader: createLoader(db, { concurrency: 8, queue: 1000, incarnationTracker }),
        freshnessPolicy: createFreshnessPolicy({ maxStalenessMs, incarnationTracker }),
        currentConsistencyTokens,
        prefix,
        isCached: () => true,
        metrics: createCacheMetrics(createAppInstruments(createRegistry())),
        redisBudgetMs: 4_000,
        onFillError: () => {},
      })
      const serve = async (reader: Reader): Promise<Server> => {
        const app = createApp({
          config: { ...httpConfig, sessionSecrets: [SYSTEM_SECRET] },
          reader: asBuilt(reader),
          db,
          logger,
          isReady: () => true,
        })
        const server = createServer(app)
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        return server
      }
      const servers = [await serve(cached), await serve(createUncachedReader(db))] as const
      const ask = (server: Server, path: string, headers: Record<string, string>) =>
        fetch(`http://127.0.0.1:${portOf(server)}/api/v1/${path}`, { headers })
      const get: BuildApi['get'] = async (path, headers = {}) => {
        const response = await ask(servers[0], path, headers)
        if (!response.ok) throw new Error(`${path}: ${response.status}`)
        const [, ...cache] = response.headers.get('cache-status')?.split('; ') ?? []
        return { text: await response.text(), cache: cache.join('; ') }
      }
      return {
        get,
        seen: (resource) => store.watermark(resource, ''),
        getFresh: async (path, headers = {}) => (await ask(servers[1], path, headers)).text(),
        async [Symbol.asyncDispose]() {
          stopping.abort()
          await Promise.all(servers.map(closeServer))
          store[Symbol.dispose]()
          redis.disconnect()
          await db.destroy()
        },
      }
    },
  }
}
