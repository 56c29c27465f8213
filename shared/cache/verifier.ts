import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { includes } from '../../db/event-log/snapshot.ts'
import { TablesRewritten } from '../../db/event-log/table-files.ts'
import { findMoment, type Moment } from '../../db/queries/incarnation.ts'
import type { Database } from '../../db/schema.ts'
import type { Redis } from '../redis.ts'
import { isWrongType } from '../redis-replies.ts'
import { bareUuid, decodeValue, etagOf, type CachedValue, isPlausible } from './cached-value.ts'
import { createClock } from './clock.ts'
import { keyGlob, keyParser, watermarkKey } from './key.ts'
import { type Params, type Resource, tablesOf } from './resource.ts'
import { createSnapshotReader } from './snapshot-read.ts'
import { decodeWatermark } from './watermark.ts'

/** Compares what is cached with what Postgres says, and forgets what should not be there. */
export interface Verifier {
  /**
   * Examines so many entries taken at random; by default every one. `onFound` hears of each at once:
   * what was wrong is gone by then, also when the next one cannot be examined.
   */
  verify(sample?: number, onFound?: (one: Verified) => void): Promise<readonly Verified[]>
}

/** What was found of one variant of one entry. */
export interface Verified {
  readonly resource: string
  readonly key: string
  readonly variant: string
  /**
   * `changed`: forgotten or loaded again meanwhile, so there is nothing to accuse. `unproven`:
   * different, and the watermark did not come past the fresh load in time. `wrong`: it was forgotten now.
   * `unreadable`: not written by this program, so no reader uses it; it was deleted now.
   */
  readonly outcome: 'right' | 'changed' | 'unproven' | 'wrong' | 'unreadable'
}

export interface VerifierDeps {
  readonly redis: Redis
  /** Of the primary: a replica would accuse what is right. */
  readonly db: Kysely<Database>
  readonly resources: readonly Resource[]
  readonly prefix: string
  /** How long a watermark may take to come past a load. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000
const POLL_MS = 20
const SCAN_COUNT = 1_000
/** A difference is shown so often before it is held against an entry. */
const CONFIRMATIONS = 2

/**
 * Why a difference is a proof: the fresh load saw snapshot S, and the entry was there before S was
 * taken and still there, unchanged, after the watermark of its resource had come past S. So every
 * commit that S sees had been applied, and the entry was not among what they made stale. Had it been
 * right, it would have said what S says.
 */
export function createVerifier(deps: VerifierDeps): Verifier {
  const { redis, db, prefix, timeoutMs = TIMEOUT_MS } = deps
  const clock = createClock(redis, prefix)
  const snapshots = createSnapshotReader(db)
  const kinds = deps.resources.map((resource) => ({
    resource,
    parse: keyParser(prefix, resource),
  }))

  async function verify(
    sample?: number,
    onFound: (one: Verified) => void = () => {},
  ): Promise<readonly Verified[]> {
    const keys = sample === undefined ? await allKeys() : await someKeys(sample)
    const found: Verified[] = []
    for (const key of keys) {
      const entry = entryAt(key)
      if (entry === null) continue
      const record = (variant: string, outcome: Verified['outcome']) => {
        const one = { resource: entry.resource.name, key, variant, outcome }
        onFound(one)
        found.push(one)
      }
      const variants = await variantsOf(key)
      if (variants === null) record('', await remove(key))
      for (const variant of variants ?? []) {
        // A lease is no value.
        if (variant.startsWith('~')) continue
        const outcome = await examine(entry.resource, key, entry.params, variant)
        if (outcome !== null) record(variant, outcome)
      }
    }
    return found
  }

  function entryAt(key: string): { readonly resource: Resource; readonly params: Params } | null {
    for (const { resource, parse } of kinds) {
      const params = parse(key)
      if (params !== null) return { resource, params }
    }
    return null
  }

  async function examine(
    resource: Resource,
    key: string,
    params: Params,
    variant: string,
  ): Promise<Verified['outcome'] | null> {
    const bytes = await redis.hgetBuffer(key, variant).catch(() => null)
    const cached = decodeValue(bytes)
    if (cached === null) return bytes === null ? null : remove(key)
    for (let attempt = 0; attempt < CONFIRMATIONS; attempt++) {
      const fresh = await load(resource, params, variant)
      // Nothing can be asked for by such a name.
      if (fresh === null) return remove(key)
      // What no reader would be given can mislead nobody.
      if (!isServed(cached, fresh)) return attempt === 0 ? null : 'changed'
      if (cached.etag === fresh.etag) return 'right'
      if (!(await isPast(resource, fresh.moment))) return 'unproven'
      const still = await find(key, variant)
      if (still?.leasedAtMs !== cached.leasedAtMs || still.etag !== cached.etag) return 'changed'
    }
    await redis.unlink(key)
    return 'wrong'
  }

  /** The fields of an entry; `null` of what is no hash. */
  const variantsOf = (key: string): Promise<string[] | null> =>
    redis.hkeys(key).catch((error: unknown) => {
      if (isWrongType(error)) return null
      throw error
    })

  async function remove(key: string): Promise<'unreadable'> {
    await redis.unlink(key)
    return 'unreadable'
  }

  const find = async (key: string, variant: string) =>
    decodeValue(await redis.hgetBuffer(key, variant))

  async function load(resource: Resource, params: Params, variant: string): Promise<Fresh | null> {
    const nowMs = await clock()
    // A load that saw a rewritten table as empty would accuse what is right.
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

  /** Waits until everything that a load saw has been applied. */
  async function isPast({ name }: Resource, { incarnation, snapshot }: Moment): Promise<boolean> {
    const giveUpAtMs = performance.now() + timeoutMs
    while (performance.now() < giveUpAtMs) {
      const mark = decodeWatermark(await redis.hget(watermarkKey(prefix), name))
      if (mark?.incarnation === incarnation && includes(mark.snapshot, snapshot)) return true
      await sleep(POLL_MS)
    }
    return false
  }

  async function allKeys(): Promise<ReadonlySet<string>> {
    const keys = new Set<string>()
    const pages = redis.scanStream({ match: keyGlob(prefix), count: SCAN_COUNT })
    for await (const page of pages) for (const key of page as string[]) keys.add(key)
    return keys
  }

  /** As many as there are in so many draws. */
  async function someKeys(sample: number): Promise<ReadonlySet<string>> {
    const draws = Array.from({ length: sample }, () => redis.randomkey())
    return new Set((await Promise.all(draws)).filter((key) => key !== null))
  }

  return { verify }
}

interface Fresh {
  readonly etag: string
  readonly moment: Moment
  /** Redis' time before it was loaded. */
  readonly nowMs: number
}

/** Postgres could not read a value that a key or a variant named. */
const isDataException = (error: unknown) =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('22')

/** Whether a reader would be given it. How long it may be fresh depends on the settings of that reader. */
const isServed = (cached: CachedValue, { moment, nowMs }: Fresh) =>
  cached.freshUntilMs > nowMs &&
  isPlausible(cached, Infinity, nowMs) &&
  cached.body !== 'too large' &&
  moment.incarnation !== null &&
  cached.incarnation === bareUuid(moment.incarnation)
