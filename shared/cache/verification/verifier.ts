import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import {
  errorCode,
  findMoment,
  includes,
  type Moment,
  TablesRewritten,
} from '../../../db/event-log/index.ts'
import type { Buckets } from '../redis/buckets.ts'
import type { Redis } from '../redis/redis.ts'
import { isWrongType } from '../redis/replies.ts'
import {
  bareUuid,
  decodeValue,
  etagOf,
  type CachedValue,
  isPlausible,
} from '../entry-store/cached-value.ts'
import { inflate } from '../entry-store/compression.ts'
import { createClock } from '../redis/clock.ts'
import { keyGlob, keyParser, watermarkKey } from '../definition/key.ts'
import { type Params, type Resource, tablesOf } from '../definition/resource.ts'
import { createSnapshotReader } from '../read/snapshot-read.ts'
import { decodeWatermark } from '../freshness/watermark.ts'

/** Compares cached values with Postgres, and deletes wrong ones. */
export interface Verifier {
  /**
   * Examines `sample` random keys; by default all. Calls `onFound` for each result at once: a wrong
   * entry has been deleted by then, even if the next examination fails.
   */
  verify(sample?: number, onFound?: (one: Verified) => void): Promise<readonly Verified[]>
  /** Examines entries by key. */
  verifyKeys(
    keys: Iterable<string>,
    onFound?: (one: Verified) => void,
  ): Promise<readonly Verified[]>
}

/** Result for one variant of one entry. */
export interface Verified {
  readonly resource: string
  readonly key: string
  readonly variant: string
  /**
   * `changed`: deleted or replaced meanwhile, so there is no proof of an error. `unproven`: different, but
   * the watermark did not include the fresh load in time. `wrong`: different, and deleted. `unreadable`:
   * not written by this program, so no reader uses it; deleted.
   */
  readonly outcome: 'right' | 'changed' | 'unproven' | 'wrong' | 'unreadable'
}

export interface VerifierDeps<DB> {
  readonly buckets: Buckets
  /** Connection to the primary: a standby lags, so correct values would look wrong. */
  readonly db: Kysely<DB>
  readonly resources: readonly Resource<DB>[]
  /** Prefix of every key, without a bucket. */
  readonly prefix: string
  /** Longest wait until a watermark includes a load. */
  readonly timeoutMs?: number
  /** Whether wrong values stay in Redis; by default they are deleted. */
  readonly keepsWrong?: boolean
}

const TIMEOUT_MS = 10_000
const POLL_MS = 20
const SCAN_COUNT = 1_000
/** Number of times that a difference must be found before an entry is wrong. */
const CONFIRMATIONS = 2

/**
 * Creates a verifier. A difference proves an error: the fresh load saw snapshot S. The entry existed
 * before S was taken, and still existed unchanged when the watermark of its resource included S. By
 * then every commit that S sees had been applied, and none of them had made the entry stale. A correct
 * entry would therefore equal the fresh load.
 */
export function createVerifier<DB>(deps: VerifierDeps<DB>): Verifier {
  const { buckets, db, prefix, timeoutMs = TIMEOUT_MS } = deps
  const snapshots = createSnapshotReader(db)
  const kinds = deps.resources.map((resource) => ({
    resource,
    parse: keyParser(prefix, resource),
  }))

  async function verify(
    sample?: number,
    onFound?: (one: Verified) => void,
  ): Promise<readonly Verified[]> {
    return verifyKeys(sample === undefined ? await allKeys() : await someKeys(sample), onFound)
  }

  async function verifyKeys(
    keys: Iterable<string>,
    onFound: (one: Verified) => void = () => {},
  ): Promise<readonly Verified[]> {
    const found: Verified[] = []
    for (const key of keys) {
      const entry = entryAt(key)
      if (entry === null) continue
      const { redis } = entry.place
      const record = (variant: string, outcome: Verified['outcome']) => {
        const one = { resource: entry.resource.name, key, variant, outcome }
        onFound(one)
        found.push(one)
      }
      const variants = await variantsOf(redis, key)
      if (variants === null) record('', await remove(redis, key))
      for (const variant of variants ?? []) {
        // Leases are fields too.
        if (variant.startsWith('~')) continue
        const outcome = await examine(entry, key, variant)
        if (outcome !== null) record(variant, outcome)
      }
    }
    return found
  }

  function entryAt(keyInBucket: string): Entry<DB> | null {
    const place = buckets.placeOf(keyInBucket)
    if (place === null) return null
    const redis = buckets.connectionOf(place.bucket)
    if (redis === null) throw new Error('the server of a bucket is not known')
    for (const { resource, parse } of kinds) {
      const params = parse(place.key)
      const prefixThere = buckets.prefixOf(place.bucket)
      if (params !== null) return { resource, params, place: { redis, prefix: prefixThere } }
    }
    return null
  }

  async function examine(
    entry: Entry<DB>,
    key: string,
    variant: string,
  ): Promise<Verified['outcome'] | null> {
    const { redis } = entry.place
    const bytes = await redis.hgetBuffer(key, variant).catch(() => null)
    const cached = decodeValue(bytes)
    if (cached === null) return bytes === null ? null : remove(redis, key)
    const etag = await storedEtag(cached)
    if (etag === null) return remove(redis, key)
    for (let attempt = 0; attempt < CONFIRMATIONS; attempt++) {
      const fresh = await load(entry, variant)
      // No request can name such an entry.
      if (fresh === null) return remove(redis, key)
      // No reader would use this value, so it does no harm.
      if (!isServed(cached, fresh)) return attempt === 0 ? null : 'changed'
      if (etag === fresh.etag) return 'right'
      if (!(await isPast(entry, fresh.moment))) return 'unproven'
      const still = await find(redis, key, variant)
      if (still?.leasedAtMs !== cached.leasedAtMs || still.etag !== cached.etag) return 'changed'
    }
    await unlink(redis, key)
    return 'wrong'
  }

  async function remove(redis: Redis, key: string): Promise<'unreadable'> {
    await unlink(redis, key)
    return 'unreadable'
  }

  async function unlink(redis: Redis, key: string): Promise<void> {
    if (deps.keepsWrong !== true) await redis.unlink(key)
  }

  async function load(
    { resource, params, place }: Entry<DB>,
    variant: string,
  ): Promise<Fresh | null> {
    const nowMs = await createClock(place.redis, place.prefix)()
    // A load that saw a rewritten table as empty would make a correct value look wrong.
    for (;;) {
      try {
        const { value } = await snapshots.read(tablesOf(resource), false, async (trx) => {
          const moment = await findMoment(trx)
          const loaded = await resource.load(trx, params, variant)
          return { nowMs, moment, etag: etagOf(loaded === null ? null : Buffer.from(loaded.body)) }
        })
        return value
      } catch (error) {
        if (isDataException(error)) return null
        if (!(error instanceof TablesRewritten)) throw error
      }
    }
  }

  /**
   * Waits until everything that a load saw has been applied; returns whether that happened in time.
   */
  async function isPast(
    { resource: { name }, place }: Entry<DB>,
    { incarnation, snapshot }: Moment,
  ): Promise<boolean> {
    const giveUpAtMs = performance.now() + timeoutMs
    while (performance.now() < giveUpAtMs) {
      const mark = decodeWatermark(await place.redis.hget(watermarkKey(place.prefix), name))
      if (mark?.incarnation === incarnation && includes(mark.snapshot, snapshot)) return true
      await sleep(POLL_MS)
    }
    return false
  }

  async function allKeys(): Promise<ReadonlySet<string>> {
    const keys = new Set<string>()
    for (const server of buckets.servers) {
      const pages = server.scanStream({ match: keyGlob(prefix), count: SCAN_COUNT })
      for await (const page of pages) for (const key of page as string[]) keys.add(key)
    }
    return keys
  }

  /** Returns the distinct keys of `sample` random draws. */
  async function someKeys(sample: number): Promise<ReadonlySet<string>> {
    const { servers } = buckets
    if (servers.length === 0) throw new Error('no server of Redis is known')
    const draws = Array.from({ length: sample }, (_, i) =>
      (servers[i % servers.length] as Redis).randomkey(),
    )
    return new Set((await Promise.all(draws)).filter((key) => key !== null))
  }

  return { verify, verifyKeys }
}

/** Returns the fields of an entry; `null` if the key is not a hash. */
const variantsOf = (redis: Redis, key: string): Promise<string[] | null> =>
  redis.hkeys(key).catch((error: unknown) => {
    if (isWrongType(error)) return null
    throw error
  })

const find = async (redis: Redis, key: string, variant: string) =>
  decodeValue(await redis.hgetBuffer(key, variant))

/** An entry, and where it is. */
interface Entry<DB> {
  readonly resource: Resource<DB>
  readonly params: Params
  /** Connection to its server, and the first part of the keys of its bucket. */
  readonly place: { readonly redis: Redis; readonly prefix: string }
}

interface Fresh {
  readonly etag: string
  readonly moment: Moment
  /** Clock's time before the load. */
  readonly nowMs: number
}

/** Returns the tag of a compressed body, else the stored one; null if the body cannot be inflated. */
async function storedEtag({ body, encoding, etag }: CachedValue): Promise<string | null> {
  if (encoding === undefined || !Buffer.isBuffer(body)) return etag
  try {
    return etagOf(await inflate({ body, encoding }))
  } catch {
    return null
  }
}

/** Whether Postgres could not parse a value from a key or a variant. */
const isDataException = (error: unknown) => errorCode(error)?.startsWith('22') === true

/**
 * Whether a reader would use the value. Its TTL is not checked, because readers have their own
 * settings.
 */
const isServed = (cached: CachedValue, { moment, nowMs }: Fresh) =>
  cached.freshUntilMs > nowMs &&
  isPlausible(cached, Infinity, nowMs) &&
  cached.body !== 'too large' &&
  moment.incarnation !== null &&
  cached.incarnation === bareUuid(moment.incarnation)
