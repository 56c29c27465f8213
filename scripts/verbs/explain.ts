import { randomBytes } from 'node:crypto'
import { apiConfig } from '../../api/config.ts'
import { findEntriesOfUrl, NoSuchUser } from '../../api/entries-of-url.ts'
import { openDatabase } from '../../db/database.ts'
import {
  describeEntry,
  type EntryPart,
  entryOfKey,
  explainEntry,
  isUrl,
} from '../../invalidator/index.ts'
import { CACHE_PREFIX, type Environment, parseConfig } from '../../shared/config.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { catalog } from '../../shared/resources/index.ts'
import { userAccessRules } from '../../shared/resources/user-access.ts'
import type { Discovered } from '../servers/discover.ts'
import { withRedis } from './with-redis.ts'

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
  const named = entryOfKey(catalog, prefix, what)
  const isPath = named === null && isUrl(prefix, what)
  const parts = isPath
    ? await partsOfUrl(discovered, environment, prefix, what, userId)
    : [named].filter((one) => one !== null)
  if (parts.length === 0) {
    throw new ConfigurationError(
      isPath
        ? `${what} reads no cached entry`
        : `${what} is not a key; keys have the form ${catalog.map(({ key }) => key).join(', ')}`,
    )
  }
  await withRedis(redisUrl, prefix, async (buckets) => {
    for (const part of parts) {
      const place = buckets.place(part.key)
      if (place === null) {
        console.log(`\n${part.resource}  ${part.key}\n  the server of its bucket is not available`)
        continue
      }
      const placed = { ...part, key: place.key }
      const entry = await explainEntry(place.redis, place.prefix, catalog, placed)
      for (const line of describeEntry(entry)) console.log(line)
    }
  })
}

/** Returns the entries that a request reads. */
async function partsOfUrl(
  { databaseUrl, sessionSecrets }: Discovered,
  environment: Environment,
  prefix: string,
  url: string,
  userId: string | undefined,
): Promise<readonly EntryPart[]> {
  const { http } = parseConfig(apiConfig(catalog.map(({ name }) => name)), {
    ...environment,
    DATABASE_URL: databaseUrl,
    CACHE_ENABLED: 'false',
    // Without configured secrets, a random one signs the session of this request.
    SESSION_SECRETS: sessionSecrets.join() || randomBytes(32).toString('hex'),
  })
  const db = openDatabase({ url: databaseUrl, poolSize: 2, applicationName: 'spms-explain' })
  try {
    const { status, entries } = await findEntriesOfUrl(
      { db, config: http, prefix },
      url,
      userId,
    ).catch((error: unknown) => {
      if (!(error instanceof NoSuchUser)) throw error
      throw new ConfigurationError(`--as: ${error.message}`)
    })
    const { pathname, search } = new URL(url, 'http://localhost/api/v1/')
    console.log(`GET ${pathname}${search} returns ${status}`)
    if (status === 401) console.log('the request needs a session: add --as <user id>')
    if (sessionSecrets.length > 0) return entries
    // The secret is part of the keys of this resource.
    const known = entries.filter(({ resource }) => resource !== userAccessRules.name)
    if (known.length < entries.length) {
      console.log(`SESSION_SECRETS is not set: cannot explain ${userAccessRules.name}`)
    }
    return known
  } finally {
    await db.destroy()
  }
}
