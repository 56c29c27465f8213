import proxyaddr from 'proxy-addr'
import { z } from 'zod'
import {
  commonSettings,
  list,
  logConfig,
  MAX_STALENESS_MS,
  port,
  positiveNumber,
  redisSetting,
  wholeNumber,
} from '../shared/config.ts'
import { COMPRESSION, MAX_VALUE_BYTES } from '../shared/cache/index.ts'
import { type ConnectionShares, MIN_CONNECTIONS, shareConnections } from './connection-shares.ts'
import type { StorageConfig } from './files/open-storage.ts'
import type { TrustProxy } from './http/client.ts'
import { DJANGO_ITERATIONS } from './session/password.ts'
import { bearerConfig, issuerSettings, neededWithTheOthers } from './issuer-config.ts'

/** Settings of the API. `resourceNames` are the names of all cached resources. */
export const apiSettings = (resourceNames: readonly string[]) =>
  z.object({
    ...commonSettings.shape,
    REDIS_URL: redisSetting
      .optional()
      .meta({ ...redisSetting.meta(), otherwise: 'required unless `CACHE_ENABLED=false`' }),
    REDIS_TIMEOUT_MS: positiveNumber
      .default(50)
      .describe('Time limit of one Redis command, in ms.'),
    REDIS_BUDGET_MS: positiveNumber
      .default(80)
      .describe(
        'Time limit of all Redis commands of one request, in ms. Commands in flight together count once.',
      ),
    MAX_STALENESS_MS: positiveNumber
      .default(MAX_STALENESS_MS)
      .describe(
        'A value that was superseded longer ago is never served as fresh, even after failures. Keep it well above `HEARTBEAT_MS`, and at 5,000 or more with Redis Cluster, whose idle watermarks advance once per second.',
      ),
    CACHE_ENABLED: z.stringbool().default(true).describe('`false`: every read goes to Postgres.'),
    CACHE_RESOURCES: list
      .pipe(z.array(knownName(resourceNames)))
      .default([...resourceNames])
      .transform((names) => new Set(names))
      .meta({
        description: 'Comma list of resources to cache, such as `staff:profile,staff:list`.',
        otherwise: 'all',
      }),
    CACHE_TTL_OVERRIDES: ttlOverrides(resourceNames).default(new Map()).meta({
      description: 'Comma list of TTLs in s, such as `staff:list=60`.',
      otherwise: 'none',
    }),
    CACHE_MAX_VALUE_BYTES: positiveNumber
      .default(MAX_VALUE_BYTES)
      .describe(
        'A longer response is not stored (`detail=large`). It limits the plain response, not the compressed one. All variants of one entry may take 8 times as much, compressed.',
      ),
    COMPRESSION_MIN_BYTES: wholeNumber
      .default(COMPRESSION.minBytes)
      .describe(
        'Responses of this length or more are compressed: cached ones with gzip when they are stored, others while they are sent.',
      ),
    COMPRESSION_LEVEL: wholeNumber
      .max(9)
      .default(COMPRESSION.level)
      .describe('Level of gzip, from 1 to 9. 0 disables compression.'),
    PORT: port.default(8000).describe('Port of the API.'),
    METRICS_PORT: port
      .default(9464)
      .describe(
        'Port of `/metrics`, and of the [console](console.md) in the invalidator. It must not be public.',
      ),
    SESSION_SECRETS: list
      .pipe(z.array(z.string().min(32, 'each secret needs at least 32 characters')))
      .describe(
        'Comma list of secrets, each at least 32 characters. The first signs sessions, consistency tokens and access entries; all of them verify.',
      ),
    SESSION_IDLE_S: positiveNumber
      .optional()
      .describe(
        'A session ends after this many seconds without a request. Every session ends 14 days after its log-in.',
      ),
    PASSWORD_ITERATIONS: positiveNumber
      .default(DJANGO_ITERATIONS)
      .describe(
        'PBKDF2 iterations of a new password hash. A log-in replaces a hash with fewer. Use the number of the Django application.',
      ),
    ...issuerSettings.shape,
    CORS_ORIGINS: list
      .pipe(z.array(origin))
      .default([])
      .describe(
        "Comma list of origins, such as `https://spms.example`, whose pages may use the API with their users' cookies.",
      ),
    TRUST_PROXY: trustProxy
      .default(false)
      .describe(
        'Number of proxies in front of the API, or their addresses and networks. Their `X-Forwarded-*` headers are trusted.',
      ),
    RATE_LIMIT_PER_S: wholeNumber
      .default(100)
      .describe(
        'Requests per second and client address (IPv6: /64), preflights included. 0 disables the limit.',
      ),
    RATE_LIMIT_BURST: wholeNumber
      .default(400)
      .describe('Requests that a client address may send in one burst.'),
    SEARCHES_PER_MINUTE: wholeNumber
      .default(300)
      .describe(
        'Searches and lists per minute, user and process; up to a third of them in one burst. 0 disables the limit.',
      ),
    EXPORTS_PER_MINUTE: wholeNumber
      .default(30)
      .describe(
        'Exports (`projects/map`, `projects/download`, the parts of all projects) per minute, user and process; up to a third of them in one burst. 0 disables the limit.',
      ),
    EDGE_MAX_AGE_S: wholeNumber
      .default(0)
      .describe(
        '`s-maxage` of public responses, in s: how much an edge cache may add to their age.',
      ),
    BODY_LIMIT_BYTES: positiveNumber.default(1_000_000).describe('Largest accepted request body.'),
    MEDIA_ROOT: z
      .string()
      .default('files')
      .describe(
        'Directory of uploaded files, such as the media root of the Django application. API processes on several hosts share it.',
      ),
    AZURE_STORAGE_CONNECTION_STRING: z.string().optional().meta({
      description:
        'Keeps uploaded files in Azure Blob Storage instead of `MEDIA_ROOT`. It needs `AZURE_STORAGE_CONTAINER`.',
      otherwise: 'none',
    }),
    AZURE_STORAGE_CONTAINER: z.string().optional().meta({
      description: 'An existing container for uploaded files. It must not be public.',
      otherwise: 'none',
    }),
    UPLOAD_LIMIT_BYTES: positiveNumber
      .default(3_145_728)
      .describe('Largest accepted file of an upload.'),
    DOCS_ENABLED: z
      .stringbool()
      .default(true)
      .describe('`false`: `openapi.json` and `docs` answer 404.'),
    TIME_ZONE: timeZone
      .default('Australia/Perth')
      .describe(
        'Time zone of end dates, which include the whole day, and of times without an offset in requests.',
      ),
    DB_POOL_SIZE: positiveNumber
      .min(MIN_CONNECTIONS)
      .default(12)
      .describe(
        'Postgres connections of one API process, at least 3. It must exceed `LOAD_CONCURRENCY` and `WRITE_CONCURRENCY` together, so that health checks always find a connection.',
      ),
    LOAD_CONCURRENCY: positiveNumber.optional().meta({
      description: 'Connections for reads.',
      otherwise: 'the rest of `DB_POOL_SIZE` but one',
    }),
    LOAD_QUEUE: wholeNumber
      .default(1000)
      .describe('Reads that may wait for a connection. Beyond them: 503 with `Retry-After`.'),
    LOAD_TIMEOUT_MS: positiveNumber
      .default(10_000)
      .describe(
        'Time limit of one statement of a read, in ms. Beyond it: 503 with `Retry-After`, or an expired value where the endpoint allows one.',
      ),
    WRITE_CONCURRENCY: positiveNumber
      .optional()
      .meta({ description: 'Connections for writes.', otherwise: 'a quarter of `DB_POOL_SIZE`' }),
    WRITE_QUEUE: wholeNumber
      .default(100)
      .describe(
        'Writes that may wait for a connection, for at most 5 s. Beyond them: 503 with `Retry-After`.',
      ),
    WRITE_TIMEOUT_MS: positiveNumber
      .default(10_000)
      .describe('Time limit of one statement of a write, in ms.'),
    LOCK_TIMEOUT_MS: positiveNumber
      .default(2_000)
      .describe('Time limit of waiting for one lock, in reads and writes, in ms.'),
  })

/**
 * The schema that turns the environment into the configuration of the API. `resourceNames` are the
 * names of all cached resources; `CACHE_RESOURCES` and `CACHE_TTL_OVERRIDES` reject other names.
 */
export const apiConfig = (resourceNames: readonly string[]) =>
  apiSettings(resourceNames)
    .refine((env) => env.REDIS_URL !== undefined || !env.CACHE_ENABLED, {
      path: ['REDIS_URL'],
      error: 'is needed unless CACHE_ENABLED=false',
      // Zod skips refinements after another issue by default. This one is reported with it.
      when: ({ issues }) => !issues.some(({ path }) => path?.[0] === 'REDIS_URL'),
    })
    .refine((env) => !env.AZURE_STORAGE_CONNECTION_STRING === !env.AZURE_STORAGE_CONTAINER, {
      path: ['AZURE_STORAGE_CONTAINER'],
      error: 'is set together with AZURE_STORAGE_CONNECTION_STRING, or not at all',
    })
    .refine(...neededWithTheOthers('JWT_ISSUER'))
    .refine(...neededWithTheOthers('JWT_AUDIENCE'))
    .refine(...neededWithTheOthers('JWT_JWKS_URL'))
    .transform((env, context) => {
      const connections = connectionShares(env, context)
      const compression = { minBytes: env.COMPRESSION_MIN_BYTES, level: env.COMPRESSION_LEVEL }
      return {
        host: env.HOST,
        port: env.PORT,
        metricsPort: env.METRICS_PORT,
        log: logConfig(env),
        database: {
          url: env.DATABASE_URL,
          limits: {
            loadMs: env.LOAD_TIMEOUT_MS,
            writeMs: env.WRITE_TIMEOUT_MS,
            lockMs: env.LOCK_TIMEOUT_MS,
          },
        },
        connections: {
          ...connections,
          loadQueue: env.LOAD_QUEUE,
          writeQueue: env.WRITE_QUEUE,
        },
        cache: {
          enabled: env.CACHE_ENABLED,
          redisUrl: env.REDIS_URL,
          commandTimeoutMs: env.REDIS_TIMEOUT_MS,
          budgetMs: env.REDIS_BUDGET_MS,
          maxStalenessMs: env.MAX_STALENESS_MS,
          prefix: env.CACHE_PREFIX,
          resources: env.CACHE_RESOURCES,
          maxValueBytes: env.CACHE_MAX_VALUE_BYTES,
          compression,
          ttlOverridesMs: env.CACHE_TTL_OVERRIDES,
        },
        storage: storageConfig(env),
        http: {
          sessionSecrets: env.SESSION_SECRETS,
          sessionIdleS: env.SESSION_IDLE_S,
          passwordIterations: env.PASSWORD_ITERATIONS,
          tokenLifetimeMs: env.MAX_STALENESS_MS + MAX_CLOCK_SKEW_MS,
          bearer: bearerConfig(env),
          corsOrigins: env.CORS_ORIGINS,
          trustProxy: env.TRUST_PROXY,
          rateLimit: { perS: env.RATE_LIMIT_PER_S, burst: env.RATE_LIMIT_BURST },
          expensiveReads: {
            searchesPerMinute: env.SEARCHES_PER_MINUTE,
            exportsPerMinute: env.EXPORTS_PER_MINUTE,
            atOnce: connections.expensiveReads,
            queue: env.LOAD_QUEUE,
          },
          edgeMaxAgeS: env.EDGE_MAX_AGE_S,
          compression,
          bodyLimitBytes: env.BODY_LIMIT_BYTES,
          uploadLimitBytes: env.UPLOAD_LIMIT_BYTES,
          docsEnabled: env.DOCS_ENABLED,
          timeZone: env.TIME_ZONE,
        },
      }
    })

interface StorageSettings {
  readonly MEDIA_ROOT: string
  readonly AZURE_STORAGE_CONNECTION_STRING?: string | undefined
  readonly AZURE_STORAGE_CONTAINER?: string | undefined
}

const storageConfig = (env: StorageSettings): StorageConfig => {
  const { AZURE_STORAGE_CONNECTION_STRING: connectionString, AZURE_STORAGE_CONTAINER: container } =
    env
  return connectionString && container
    ? { azure: { connectionString, container } }
    : { directory: env.MEDIA_ROOT }
}

interface ConnectionSettings {
  readonly DB_POOL_SIZE: number
  readonly LOAD_CONCURRENCY?: number | undefined
  readonly WRITE_CONCURRENCY?: number | undefined
}

function connectionShares(env: ConnectionSettings, context: z.RefinementCtx): ConnectionShares {
  const shares = shareConnections({
    pool: env.DB_POOL_SIZE,
    loads: env.LOAD_CONCURRENCY,
    writes: env.WRITE_CONCURRENCY,
  })
  if (shares !== undefined) return shares
  context.addIssue({
    code: 'custom',
    path: ['DB_POOL_SIZE'],
    message: 'must be more than LOAD_CONCURRENCY and WRITE_CONCURRENCY together',
  })
  return z.NEVER
}

/** Tolerated clock skew between API hosts: one host issues a token and another reads it. */
const MAX_CLOCK_SKEW_MS = 20_000

export type ApiConfig = z.output<ReturnType<typeof apiConfig>>
export type HttpConfig = ApiConfig['http']

/** An origin exactly as browsers send it: the CORS middleware compares strings. */
const origin = z
  .string()
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text,
    'must be a scheme, a host and, unless it is the default, a port, such as https://spms.example',
  )

/** A name of the time zone database, or `UTC`. */
const timeZone = z.string().refine((name) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }))
  } catch {
    return false
  }
}, 'must be a time zone, such as Australia/Perth')

const knownName = (names: readonly string[]) =>
  z.enum(names, { error: ({ input }) => `unknown resource ${String(input)}` })

/** TTLs in seconds, such as `staff:list=60,project:stats=900`. */
const ttlOverrides = (names: readonly string[]) =>
  list.transform((items, ctx) => {
    const overrides = new Map<string, number>()
    for (const item of items) {
      const [, name = '', seconds] = /^(.+)=([1-9]\d*)$/.exec(item) ?? []
      if (!names.includes(name)) {
        ctx.addIssue(`${item} must be a resource, =, and a number of seconds`)
      }
      overrides.set(name, Number(seconds) * 1000)
    }
    return overrides
  })

/**
 * Accepts the values of Express's `trust proxy` except `true`, which would trust headers of any
 * client.
 */
const trustProxy = z.string().transform((text, ctx): TrustProxy => {
  if (text === 'false') return false
  if (/^\d+$/.test(text)) return Number(text) || false
  const addresses = text.split(',').map((item) => item.trim())
  try {
    proxyaddr.compile(addresses)
  } catch {
    ctx.addIssue('must be false, a number of hops, or a list of addresses and networks')
  }
  return addresses
})
