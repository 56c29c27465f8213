import {
  type Buckets,
  keyGlob,
  keyMatcher,
  type Redis,
  type ResourceRules,
} from '../../shared/cache/index.ts'

/** Entries of a resource in Redis. */
export interface EntryUsage {
  readonly entries: number
  /** Estimated from a sample; null if MEMORY USAGE is not permitted. */
  readonly bytes: number | null
  /** Whether not all keys were counted. */
  readonly isPartial: boolean
}

/** Keys that one count of a resource reads at most. */
const MAX_SCANNED = 100_000
const SCAN_COUNT = 1_000
const SAMPLE = 20
/** A count of this age is used again: it reads all keys. */
const FRESH_MS = 30_000

/** Returns a function that counts the entries of each resource, at most every 30 s. */
export function createEntryCounter(
  buckets: Buckets,
  prefix: string,
  catalog: readonly ResourceRules[],
): () => Promise<ReadonlyMap<string, EntryUsage>> {
  let last: { readonly atMs: number; readonly found: ReadonlyMap<string, EntryUsage> } | undefined
  let running: Promise<ReadonlyMap<string, EntryUsage>> | undefined

  async function count(): Promise<ReadonlyMap<string, EntryUsage>> {
    const scans = await Promise.all(buckets.servers.map((redis) => scan(redis, prefix)))
    const keys = scans.flatMap(({ redis, found }) =>
      found.flatMap((key) => {
        const place = buckets.placeOf(key)
        return place === null ? [] : { redis, key, plain: place.key }
      }),
    )
    const isPartial = scans.some((one) => one.isPartial)
    const found = new Map<string, EntryUsage>()
    const kinds = catalog.map((resource) => ({
      name: resource.name,
      matcher: keyMatcher(prefix, resource),
    }))
    for (const { name, matcher } of kinds) {
      const own = keys.filter(({ plain }) => matcher.test(plain))
      const bytes = await meanBytes(own)
      found.set(name, {
        entries: own.length,
        bytes: bytes === null ? null : Math.round(bytes * own.length),
        isPartial,
      })
    }
    last = { atMs: performance.now(), found }
    return found
  }

  return async () => {
    if (last !== undefined && performance.now() - last.atMs < FRESH_MS) return last.found
    running ??= count().finally(() => (running = undefined))
    return running
  }
}

async function scan(redis: Redis, prefix: string) {
  const found: string[] = []
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', keyGlob(prefix), 'COUNT', SCAN_COUNT)
    cursor = next
    found.push(...keys)
  } while (cursor !== '0' && found.length < MAX_SCANNED)
  return { redis, found, isPartial: cursor !== '0' }
}

/** Returns the mean size of the keys of a sample. */
async function meanBytes(
  keys: readonly { readonly redis: Redis; readonly key: string }[],
): Promise<number | null> {
  if (keys.length === 0) return 0
  const step = Math.max(1, Math.floor(keys.length / SAMPLE))
  const sample = keys.filter((_, at) => at % step === 0).slice(0, SAMPLE)
  try {
    const sizes = await Promise.all(sample.map(({ redis, key }) => redis.memory('USAGE', key)))
    const known = sizes.filter((size) => size !== null)
    return known.length === 0 ? 0 : known.reduce((sum, size) => sum + size, 0) / known.length
  } catch {
    return null
  }
}
