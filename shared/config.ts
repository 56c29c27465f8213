import { z } from 'zod'
import { parseDatabaseUrl } from '../db/event-log/index.ts'
import { ConfigurationError } from './errors.ts'
import { defaultLogFormat, LOG_FORMATS, LOG_LEVELS } from './logger.ts'
import { parseRedisUrl } from './cache/index.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Parses the environment, once, at the top of `main.ts`. Nothing else reads `process.env`.
 * A variable that is set but empty counts as not set, because compose files write it so.
 * @throws ConfigurationError that names every mistake, but no value.
 */
export function parseConfig<S extends z.ZodType>(schema: S, environment: Environment): z.output<S> {
  const set = Object.entries(environment).filter(([, value]) => value !== '')
  const parsed = schema.safeParse(Object.fromEntries(set), {
    error: ({ input }) => (input === undefined ? 'is not set' : undefined),
  })
  if (parsed.success) return parsed.data
  throw new ConfigurationError(
    parsed.error.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .toSorted()
      .join('\n'),
  )
}

/** Default bound on staleness. */
export const MAX_STALENESS_MS = 10_000
/** Default prefix of every key. */
export const CACHE_PREFIX = 'spms-api'

export const port = z.coerce.number().int().min(0).max(65_535)
export const wholeNumber = z.coerce.number().int().nonnegative()
export const positiveNumber = z.coerce.number().int().positive()

/** A text that `parse` accepts. Its ConfigurationError becomes the message for any other text. */
const parsedBy = (parse: (text: string) => unknown) =>
  z.string().superRefine((text, context) => {
    try {
      parse(text)
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
    }
  })

export const databaseUrl = parsedBy(parseDatabaseUrl)
export const redisUrl = parsedBy(parseRedisUrl)

/**
 * Rejects a variable that `pg` would read for a missing URL parameter. TLS must depend on the URL
 * only.
 */
export const notRead = (instead: string) =>
  z.undefined({ error: `is not read: write ${instead}` }).optional()

/** `a, b` -> `['a', 'b']`. */
export const list = z
  .string()
  .transform((text) => text.split(',').map((item) => item.trim()))
  .pipe(z.array(z.string().min(1, 'an item is empty')))

/** Settings of both services. Descriptions become docs/configuration.md. */
export const commonSettings = z.object({
  DATABASE_URL: databaseUrl.describe(
    'Postgres 14 or later, the primary: `postgres://[user[:password]@]host[:port]/database`. ' +
      'Parameters: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, and `search_path`, a comma list of schemas (`public`). ' +
      '`sslmode=require` and `verify-full` verify certificate and host, `verify-ca` (with `sslrootcert`) only the ' +
      'certificate, `no-verify` nothing. Without `sslmode` the connection does not use TLS. Other parameters are rejected by name.',
  ),
  PGSSLMODE: notRead('sslmode=... in DATABASE_URL'),
  CACHE_PREFIX: z
    .string()
    .regex(/^[\w.-]+$/, 'only letters, digits and _ . -')
    .default(CACHE_PREFIX)
    .describe('Prefix of every Redis key. Each system needs its own.'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on. Images set `0.0.0.0`.'),
  LOG_LEVEL: z.enum(LOG_LEVELS).default('info').describe('The least severe level that is logged.'),
  LOG_FORMAT: z
    .enum(LOG_FORMATS)
    .default(defaultLogFormat)
    .meta({ description: 'Format of a log line.', otherwise: '`text` on a terminal, else `json`' }),
})

/** Setting of the address of Redis. */
export const redisSetting = redisUrl.describe(
  'One server (`redis://`, or `rediss://` with TLS), or the master that sentinels name: ' +
    '`redis-sentinel://[user:password@]host[:port][,host...][/database][?sentinelPassword=...]#master` ' +
    '(`rediss-sentinel://` with TLS). `NODE_EXTRA_CA_CERTS` adds a certificate authority. ' +
    'A Redis Cluster: `redis-cluster://[user:password@]host[:port][,host...][?buckets=64][&map=...]` ' +
    '(`rediss-cluster://` with TLS). All processes of a prefix need the same number of buckets, a power of two. ' +
    '`map=advertised:port=host:port,...` replaces addresses that the cluster advertises. ' +
    'Other parameters are rejected by name.',
)

export const logConfig = (env: z.output<typeof commonSettings>) => ({
  level: env.LOG_LEVEL,
  format: env.LOG_FORMAT,
})
