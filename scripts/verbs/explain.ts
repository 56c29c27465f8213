import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createApp } from '../../api/app.ts'
import { apiConfig } from '../../api/config.ts'
import { createSessions } from '../../api/session/session.ts'
import { openDatabase } from '../../db/database.ts'
import { findSessionRevocations } from '../../db/queries/session-revocations.ts'
import {
  ageMsOf,
  bareKey,
  type CachedValue,
  createCacheMetrics,
  createInvalidationStore,
  createLoader,
  createUncachedReader,
  decodeValue,
  decodeWatermark,
  entryKey,
  fullKey,
  isLookup,
  isPlausible,
  keyParser,
  plainLengthOf,
  type Redis,
  type ResourceRules,
} from '../../shared/cache/index.ts'
import { CACHE_PREFIX, type Environment, parseConfig } from '../../shared/config.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { createLogger } from '../../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
import { catalog } from '../../shared/resources/index.ts'
import { userAccessRules } from '../../shared/resources/user-access.ts'
import { closeServer, listen } from '../../shared/server.ts'
import type { Discovered } from '../servers/discover.ts'
import { withRedis } from './with-redis.ts'
import type { Reader } from '../../shared/resources/cache.ts'

/** A cached entry that a response is built from. */
interface Part {
  readonly resource: ResourceRules
  readonly key: string
  /** The requested variant; undefined means all variants of the key. */
  readonly variant?: string
}

/**
 * Prints whether a key, or each entry behind a URL, is cached, since when, and what makes it stale.
 * @throws ConfigurationError if `what` is neither a key nor a URL of a cached resource.
 */
export async function runExplain(
  discovered: Discovered,
  environment: Environment,
  what: string,
  userId?: string,
): Promise<void> {
  const { redisUrl } = discovered
  if (redisUrl === undefined) throw new ConfigurationError('REDIS_URL: is not set')
  const prefix = environment.CACHE_PREFIX || CACHE_PREFIX
  const named = partsOfKey(prefix, what)
  // Without prefix and version, a key contains no slash.
  const isPath = named.length === 0 && bareKey(prefix, what).includes('/')
  const parts = isPath
    ? await partsOfPath(discovered, environment, prefix, pathIn(what), userId)
    : named
  if (parts.length === 0) {
    throw new ConfigurationError(
      isPath
        ? `${what} reads no cached entry`
        : `${what} is not a key; keys have the form ${catalog.map(({ key }) => key).join(', ')}`,
    )
  }
  await withRedis(redisUrl, async (redis) => {
    for (const part of parts) {
      for (const line of await describe(redis, prefix, part)) console.log(line)
    }
  })
}

const pathIn = (what: string) => {
  const { pathname, search } = new URL(what, 'http://localhost/api/v1/')
  return `${pathname}${search}`
}

function partsOfKey(prefix: string, what: string): readonly Part[] {
  for (const resource of catalog) {
    const key = fullKey(prefix, resource, what)
    if (keyParser(prefix, resource)(key) !== null) return [{ resource, key }]
  }
  return []
}

/** Sends the request to an API in this process and records its reads, so that no list of routes can be outdated. */
async function partsOfPath(
  { databaseUrl, sessionSecrets }: Discovered,
  environment: Environment,
  prefix: string,
  path: string,
  userId: string | undefined,
): Promise<readonly Part[]> {
  if (userId !== undefined && !/^\d+$/.test(userId)) {
    throw new ConfigurationError(`--as: expected the id of a user, got ${userId}`)
  }
  const { http } = parseConfig(apiConfig(catalog.map(({ name }) => name)), {
    ...environment,
    DATABASE_URL: databaseUrl,
    CACHE_ENABLED: 'false',
    // Without configured secrets, a random one signs the session of this request.
    SESSION_SECRETS: sessionSecrets.join() || randomBytes(32).toString('hex'),
  })
  const db = openDatabase({ url: databaseUrl, poolSize: 2, applicationName: 'spms-explain' })
  const parts: Part[] = []
  const uncached = createUncachedReader({
    loader: createLoader(db, { concurrency: 2, queue: 100 }),
    metrics: createCacheMetrics(createAppInstruments(createRegistry())),
  })
  const recordingReader: Reader = {
    ...uncached,
    read(resource, params, variant) {
      parts.push({ resource, key: entryKey(prefix, resource, params), variant })
      return uncached.read(resource, params, variant)
    },
  }
  const logger = createLogger('explain')
  // Suppresses the security log of this internal request.
  logger.level = 'warn'
  const app = createApp({ config: http, reader: recordingReader, db, logger, isReady: () => true })
  const server = createServer(app)
  try {
    const port = await listen(server, { host: '127.0.0.1', port: 0, setting: 'PORT' })
    const headers: Record<string, string> = {}
    if (userId !== undefined) {
      const { password, epoch } = await db.transaction().execute(async (trx) => {
        const user = await trx
          .selectFrom('users_user')
          .select('password')
          .where('id', '=', userId)
          .executeTakeFirstOrThrow(
            () => new ConfigurationError(`--as: user ${userId} does not exist`),
          )
        return { ...user, ...(await findSessionRevocations(trx, userId)) }
      })
      const session = await createSessions(http.sessionSecrets).issue(userId, password, epoch)
      headers.Cookie = `spms_session=${session}`
    }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    await response.arrayBuffer()
    console.log(`GET ${path} returns ${response.status}`)
    if (response.status === 401) console.log('the request needs a session: add --as <user id>')
    if (sessionSecrets.length > 0) return parts
    // The secret is part of the keys of this resource.
    const known = parts.filter(({ resource }) => resource.name !== userAccessRules.name)
    if (known.length < parts.length) {
      console.log(`SESSION_SECRETS is not set: cannot explain ${userAccessRules.name}`)
    }
    return known
  } finally {
    await closeServer(server)
    await db.destroy()
  }
}

async function describe(
  redis: Redis,
  prefix: string,
  { resource, key, variant }: Part,
): Promise<string[]> {
  const invalidationStore = createInvalidationStore(redis, prefix)
  const nowMs = await invalidationStore.time()
  const mark = decodeWatermark(await invalidationStore.read(resource.name))
  const type = await redis.type(key)
  if (type !== 'hash' && type !== 'none') {
    return [
      '',
      `${resource.name}  ${key}`,
      `  unreadable: another program wrote a ${type} to this key`,
    ]
  }
  const fields = variant === undefined ? await redis.hkeys(key) : [variant]
  const variants = fields.filter((field) => !field.startsWith('~'))
  const found = await Promise.all(
    variants.map(async (field) => {
      const bytes = await redis.hgetBuffer(key, field)
      const cached = decodeValue(bytes)
      if (cached === null && bytes !== null) return `  ${field}: unreadable, not used`
      return `  ${field}: ${describeValue(cached, mark?.incarnation, nowMs)}`
    }),
  )
  return [
    '',
    `${resource.name}  ${key}`,
    ...(found.length === 0 ? ['  not cached'] : found),
    mark === null
      ? '  no watermark: no invalidator uses this Redis, so entries expire after MAX_STALENESS_MS'
      : ageMsOf(mark, nowMs) === Infinity
        ? '  the watermark is in the future, so it is ignored'
        : `  all changes up to ${seconds(ageMsOf(mark, nowMs))} ago have been applied`,
    '  becomes stale when one of these columns changes',
    ...resource.staleWhen.map((rule) => {
      const columns = rule.watch.join(', ')
      if (isLookup(rule))
        return `    ${rule.table} (${columns}), looked up from ${rule.from.join(', ')}`
      const where = Object.entries(rule.key).map(([name, column]) => `${column} is {${name}}`)
      return `    ${rule.table} (${columns})${where.length === 0 ? '' : ` where ${where.join(' and ')}`}`
    }),
  ]
}

function describeValue(
  cached: CachedValue | null,
  incarnation: string | undefined,
  nowMs: number,
): string {
  if (cached === null) return 'not cached'
  const since = `cached ${seconds(nowMs - cached.leasedAtMs)} ago`
  if (incarnation !== undefined && cached.incarnation !== incarnation.replaceAll('-', '')) {
    return `${since}, in another incarnation of the database: not used`
  }
  if (!isPlausible(cached, Infinity, nowMs)) return 'with impossible timestamps: not used'
  if (cached.body === 'too large') return 'too large to be cached (CACHE_MAX_VALUE_BYTES)'
  const size = cached.body === null ? 'does not exist' : sizeOf(cached, cached.body)
  const left = cached.freshUntilMs - nowMs
  return `${size}, ${since}, ${left > 0 ? `fresh for ${seconds(left)} more` : 'expired'}`
}

const sizeOf = (cached: CachedValue, body: Buffer): string =>
  cached.encoding === undefined
    ? `${body.length} bytes`
    : `${plainLengthOf(cached)} bytes (${body.length} as ${cached.encoding})`

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
