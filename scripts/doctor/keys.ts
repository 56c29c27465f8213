import { attemptKey } from '../../shared/redis-buckets.ts'
import {
  bucketCountKey,
  bareKey,
  type Buckets,
  clockKey,
  createInvalidationStores,
  decodeValue,
  fullKey,
  identityKey,
  isUnreadable,
  keyGlob,
  keyMatcher,
  processesKey,
  processKey,
  type Redis,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type Finding, note, wrong } from '../../invalidator/index.ts'

/** Maximum number of keys that are scanned. */
const MOST_KEYS = 100_000
/** Maximum number of entries whose values are decoded. */
const MOST_ENTRIES = 200
const HUGE_BYTES = 8 * 2 ** 20
const SCAN_COUNT = 1_000
/** Keys of texts: log-in attempts, and what processes report and publish. */
const TEXTS = [attemptKey, processKey]

/** Finds keys and values under the prefix that this program did not write. */
export async function checkKeys(buckets: Buckets, prefix: string): Promise<Finding[]> {
  const typeOf = (key: string): string | undefined =>
    key === watermarkKey(prefix) || key === processesKey(prefix)
      ? 'hash'
      : key === clockKey(prefix) ||
          key === identityKey(prefix) ||
          TEXTS.some((keyOf) => key.startsWith(keyOf(prefix, '')))
        ? 'string'
        : undefined
  const matchers = catalog.map((resource) => ({ resource, matcher: keyMatcher(prefix, resource) }))
  /** Includes entries of other resource versions, which exist during a deploy. */
  const isEntry = (key: string) =>
    matchers.some(({ resource, matcher }) =>
      matcher.test(fullKey(prefix, resource, bareKey(prefix, key))),
    )
  const unreadable = await unreadableWatermarks(buckets)
  const unknown: string[] = []
  let entries = 0

  async function checkKey(redis: Redis, keyInBucket: string): Promise<void> {
    const place = buckets.placeOf(keyInBucket)
    if (place === null) {
      if (keyInBucket !== bucketCountKey(prefix)) unknown.push(keyInBucket)
      return
    }
    const { key } = place
    const kind = await redis.type(keyInBucket)
    const wanted = typeOf(key) ?? (isEntry(key) ? 'hash' : undefined)
    if (wanted === undefined) unknown.push(keyInBucket)
    else if (kind !== wanted && kind !== 'none') unreadable.push(`${keyInBucket} (a ${kind})`)
    else if (wanted === 'hash' && typeOf(key) === undefined && entries++ < MOST_ENTRIES) {
      unreadable.push(...(await unreadableValues(redis, keyInBucket)))
    }
  }

  for (const redis of buckets.servers) {
    if (redis.status !== 'ready') continue
    let keys = 0
    let cursor = '0'
    do {
      const [next, found] = await redis.scan(cursor, 'MATCH', keyGlob(prefix), 'COUNT', SCAN_COUNT)
      cursor = next
      keys += found.length
      await Promise.all(found.map((key) => checkKey(redis, key)))
    } while (cursor !== '0' && keys < MOST_KEYS)
  }
  return [...unreadableFindings(unreadable), ...unknownKeyFindings(unknown)]
}

async function unreadableWatermarks(buckets: Buckets): Promise<string[]> {
  const stores = createInvalidationStores(buckets)
  const found = new Set<string>()
  for (let bucket = 0; bucket < stores.count; bucket++) {
    if (buckets.connectionOf(bucket)?.status !== 'ready') continue
    const store = stores.at(bucket)
    for (const { name } of catalog) if (isUnreadable(await store.read(name))) found.add(name)
  }
  return [...found].map((name) => `the watermark of ${name}`)
}

async function unreadableValues(redis: Redis, key: string): Promise<string[]> {
  const found: string[] = []
  for (const field of await redis.hkeys(key)) {
    if (field.startsWith('~')) continue
    const isHuge = (await redis.hstrlen(key, field)) > HUGE_BYTES
    const bytes = isHuge ? null : await redis.hgetBuffer(key, field)
    if (isHuge || (bytes !== null && decodeValue(bytes) === null)) found.push(`${field} of ${key}`)
  }
  return found
}

function unreadableFindings(found: readonly string[]): Finding[] {
  if (found.length === 0) return []
  return [
    wrong(
      `${found.length} values in Redis were not written by this program: ${some(found)}`,
      'they count as missing, so the correct values are loaded and stored repeatedly',
      'change the prefix of the program that writes them, or CACHE_PREFIX; then delete the leftover keys with UNLINK',
    ),
  ]
}

function unknownKeyFindings(found: readonly string[]): Finding[] {
  if (found.length === 0) return []
  return [
    note(
      `${found.length} keys under the prefix are of no resource of this build: ${some(found)}`,
      'another build wrote them, or another program uses the prefix',
      'nothing, if another build is deployed; otherwise set another CACHE_PREFIX',
    ),
  ]
}

const SHOWN = 3
const some = (found: readonly string[]) =>
  found.length <= SHOWN ? found.join(', ') : `${found.slice(0, SHOWN).join(', ')}, ...`
