import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Database } from '../../../db/schema.ts'
import { PublicError } from '../../errors.ts'
import { isUnavailable } from '../../../db/event-log/connection/unavailable.ts'
import type { Answer } from './answer.ts'
import { TimeBudget } from '../entry-store/time-budget.ts'
import { etagOf, type CachedValue, isPlausible } from '../entry-store/cached-value.ts'
import type { FreshnessRequirement, FreshnessPolicy } from '../freshness/freshness-policy.ts'
import { entryKey } from '../definition/key.ts'
import type { Loader, LoadResult } from './loader.ts'
import type { CacheMetrics } from './metrics.ts'
import { TokenBucket } from './token-bucket.ts'
import type { Params, Resource } from '../definition/resource.ts'
import {
  type EntryStore,
  type LeaseReply,
  MAX_VALUE_BYTES,
  type EntryField,
  StoreUnavailable,
} from '../entry-store/entry-store.ts'
import type { ConsistencyToken } from '../freshness/consistency-token.ts'
import type { Watermark } from '../freshness/watermark.ts'

/** Reads through the cache. While Redis is unavailable, reads are slower, never wrong. */
export interface Reader {
  /**
   * Answers one variant of one entry. All reads of one request share a budget; by default a read has
   * its own.
   * @throws PublicError `unavailable` if the load fails and no stale value may replace it.
   */
  read(resource: Resource, params: Params, variant: string, budget?: TimeBudget): Promise<Answer>
  /** Returns the time that one request may wait for Redis, over all its reads. */
  openBudget(): TimeBudget
  /** Runs a query that is never cached, under the same limit on concurrent loads. */
  query<T>(work: (trx: Transaction<Database>) => Promise<T>): Promise<T>
}

export interface ReaderDeps {
  /** `null` if the cache is switched off. */
  readonly store: EntryStore | null
  readonly loader: Loader
  /** Decides which cached values may be used. */
  readonly freshnessPolicy: FreshnessPolicy
  /** Returns the consistency tokens of the current request. By default none. */
  readonly currentConsistencyTokens?: () => readonly ConsistencyToken[]
  readonly prefix: string
  /** Whether a resource is cached at all. */
  readonly isCached: (resource: Resource) => boolean
  readonly metrics: CacheMetrics
  /** Time that one request may wait for Redis, over all its commands. */
  readonly redisBudgetMs?: number
  /** Largest body that is stored, in bytes. By default 1 MiB. */
  readonly maxValueBytes?: number
  /** Called with the error of a failed fill, to log it. */
  readonly onFillError: (error: unknown) => void
}

const REDIS_BUDGET_MS = 80
/** Longest wait for a concurrent load. */
const JOIN_TIMEOUT_MS = 1_000
const POLL_FIRST_MS = 4
const POLL_MAX_MS = 64
const ABSENT_TTL_MS = 60_000
/** Bounds negative caching: a client can request any number of missing ids. */
const ABSENT_PER_S = 100
const ABSENT_BURST = 1_000
/** Time for which a value is marked as too large, also after the limit was raised. */
const TOO_LARGE_TTL_MS = 60_000
const TOO_LARGE = 'large'
const STALE_IF_ERROR_MS = 5 * 60_000
/** Random share of the TTL, so that entries that were filled together do not expire together. */
const JITTER = 0.05

/**
 * Creates the cache engine. Invariants:
 *
 * - Storing a value requires a lease. The load begins after the reply that granted the lease, and its
 *   result is stored only if the lease still exists. An invalidation revokes leases together with the
 *   values, so data that was read before a change is never stored after it.
 * - A load is shared by lease id, never by key. A request that arrives after an invalidation gets
 *   another lease id, so it never joins a load that began before the invalidation.
 * - A value from Redis is judged by the watermark that was held when the command was sent.
 * - Every failure of Redis leads to a load from Postgres whose result is not stored.
 */
export function createReader(deps: ReaderDeps): Reader {
  const {
    store,
    loader,
    freshnessPolicy,
    prefix,
    metrics,
    currentConsistencyTokens = () => [],
  } = deps
  const { maxValueBytes = MAX_VALUE_BYTES } = deps
  /** Running loads by lease id, or by the etag of the marker of a value that is too large. */
  const flights = new Map<string, Flight>()
  const absentBucket = new TokenBucket(ABSENT_PER_S, ABSENT_BURST)
  const processId = randomBytes(9).toString('base64url')
  let leases = 0

  const openBudget = () => new TimeBudget(deps.redisBudgetMs ?? REDIS_BUDGET_MS)

  async function read(
    resource: Resource,
    params: Params,
    variant: string,
    budget = openBudget(),
  ): Promise<Answer> {
    const answer = await answerFor(resource, params, variant, budget)
    metrics.reads.of(resource.name, answer.outcome, answer.detail ?? '').n++
    return answer
  }

  async function answerFor(
    resource: Resource,
    params: Params,
    variant: string,
    budget: TimeBudget,
  ): Promise<Answer> {
    if (store === null || !deps.isCached(resource)) {
      return bypass(resource, params, variant, 'off')
    }
    const field = { key: entryKey(prefix, resource, params), variant, reserved: resource.reserved }
    const consistencyTokens = currentConsistencyTokens()
    const mark = store.watermark(resource.name)
    let rejected: CachedValue | null = null
    try {
      try {
        const bypassReason = reasonToBypass(store, resource, mark, consistencyTokens)
        if (bypassReason !== undefined) return await bypass(resource, params, variant, bypassReason)
        const found = await store.find(field, budget)
        const isForged = found !== null && !isGenuine(resource, params, variant, found)
        const cached = isForged ? null : found
        const nowMs = store.now()
        const requirement = freshnessPolicy.requirement(mark, nowMs)
        const isExpired = cached === null || nowMs >= cached.freshUntilMs
        if (
          !isExpired &&
          meetsRequirement(requirement, cached, resource, nowMs) &&
          freshnessPolicy.satisfies(mark, consistencyTokens, nowMs)
        ) {
          return await answerFrom(resource, params, variant, cached, nowMs, requirement)
        }
        if (cached?.incarnation === requirement.incarnation) rejected = cached
        const answer = await fillOrWait(
          store,
          resource,
          params,
          field,
          consistencyTokens,
          budget,
          isForged,
        )
        const isRejected = rejected !== null && !isExpired && answer.outcome === 'miss'
        return isRejected ? { ...answer, detail: 'freshness' } : answer
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error
        return await bypass(resource, params, variant, 'redis')
      }
    } catch (error) {
      const mayServeStale = resource.staleIfError && isTransient(error)
      const stale = mayServeStale
        ? staleAnswer(store, resource, rejected, mark, consistencyTokens)
        : null
      if (stale === null) throw error
      return stale
    }
  }

  /**
   * Returns a value that is no longer fresh, after a failed load; `null` if there is none or it is
   * too old.
   */
  function staleAnswer(
    store: EntryStore,
    resource: Resource,
    rejected: CachedValue | null,
    mark: Watermark | null,
    consistencyTokens: readonly ConsistencyToken[],
  ): Answer | null {
    const nowMs = timeOf(store)
    if (rejected === null || nowMs === null || nowMs >= rejected.staleUntilMs) return null
    if (rejected.body === 'too large' || !canServeStale(rejected, resource, nowMs)) return null
    if (!freshnessPolicy.satisfies(mark, consistencyTokens, nowMs)) return null
    return { ...hit(rejected, rejected.body, nowMs), outcome: 'stale', detail: 'error' }
  }

  /** Returns why neither an entry nor a concurrent load may be used, and nothing may be stored. */
  function reasonToBypass(
    store: EntryStore,
    resource: Resource,
    mark: Watermark | null,
    consistencyTokens: readonly ConsistencyToken[],
  ): string | undefined {
    const bypassReason = freshnessPolicy.reasonToBypass(resource, mark)
    if (bypassReason !== undefined) return bypassReason
    return freshnessPolicy.satisfies(mark, consistencyTokens, store.now())
      ? undefined
      : 'consistency'
  }

  /**
   * Answers with a cached value. If it marks a value that is too large to be stored, loads instead.
   */
  async function answerFrom(
    resource: Resource,
    params: Params,
    variant: string,
    cached: CachedValue,
    nowMs: number,
    requirement: FreshnessRequirement,
  ): Promise<Answer> {
    if (cached.body !== 'too large') return hit(cached, cached.body, nowMs)
    // An invalidation deletes this marker like a lease. So every request that finds it may share a load
    // that began while it existed: that load includes everything that was applied before the request.
    const flight = flights.get(cached.etag)
    if (flight && flight.leasedAtMs >= requirement.oldestMs) {
      return { ...(await flight.answer), collapsed: true }
    }
    const own: Flight = {
      leasedAtMs: nowMs,
      answer: load(resource, params, variant, false)
        .then((loadResult) => ({ ...miss(loadResult), detail: TOO_LARGE }))
        .finally(() => {
          if (flights.get(cached.etag) === own) flights.delete(cached.etag)
        }),
    }
    flights.set(cached.etag, own)
    return own.answer
  }

  /** Takes the lease and loads, or waits for the holder of the lease, or loads without storing. */
  async function fillOrWait(
    store: EntryStore,
    resource: Resource,
    params: Params,
    field: EntryField,
    consistencyTokens: readonly ConsistencyToken[],
    budget: TimeBudget,
    wasForged: boolean,
  ): Promise<Answer> {
    const giveUpAt = performance.now() + JOIN_TIMEOUT_MS
    let isWaiting = false
    let isForged = wasForged
    for (let pauseMs = POLL_FIRST_MS; ; pauseMs = Math.min(POLL_MAX_MS, 2 * pauseMs)) {
      const mark = store.watermark(resource.name)
      const bypassReason = reasonToBypass(store, resource, mark, consistencyTokens)
      if (bypassReason !== undefined) return bypass(resource, params, field.variant, bypassReason)
      const requirement = freshnessPolicy.requirement(mark, store.now())
      const leaseId = `${processId}.${++leases}`
      const longestMs = resource.ttlMs
      // No value is this young, so the script grants the lease although a forged value is stored.
      const oldestMs = isForged ? Number.MAX_SAFE_INTEGER : requirement.oldestMs
      const wanted = { ...requirement, oldestMs, longestMs }
      const reply = await requestLease(store, field, leaseId, wanted, budget)
      isForged = false
      switch (reply.state) {
        case 'hit': {
          isForged = !isGenuine(resource, params, field.variant, reply.cached)
          if (isForged) break
          // The script checked the value earlier; the watermark may have become too old since.
          const nowMs = Math.max(store.now(), reply.nowMs)
          const requirementNow = freshnessPolicy.requirement(mark, nowMs)
          if (!meetsRequirement(requirementNow, reply.cached, resource, nowMs)) break
          if (!freshnessPolicy.satisfies(mark, consistencyTokens, nowMs)) break
          return answerFrom(
            resource,
            params,
            field.variant,
            reply.cached,
            reply.nowMs,
            requirementNow,
          )
        }
        case 'lease':
          return startFlight(store, resource, params, field, leaseId, reply.nowMs)
        case 'full':
          return miss(await load(resource, params, field.variant, false))
        case 'held': {
          if (!isWaiting) metrics.leaseWaits.labels(resource.name).inc()
          isWaiting = true
          const leftMs = giveUpAt - performance.now()
          if (leftMs <= 0) return miss(await load(resource, params, field.variant, false))
          const flight = flights.get(reply.leaseId)
          if (flight && flight.leasedAtMs >= requirement.oldestMs) {
            const answer = await withTimeout(flight.answer, leftMs)
            if (answer) return { ...answer, collapsed: true }
          } else await sleep(Math.min(pauseMs, leftMs))
        }
      }
    }
  }

  /**
   * Requests the lease. Releases a lease that is granted too late, so that no reader waits for it.
   */
  async function requestLease(
    store: EntryStore,
    field: EntryField,
    leaseId: string,
    requirement: FreshnessRequirement,
    budget: TimeBudget,
  ): Promise<LeaseReply> {
    try {
      return await store.lease(field, leaseId, requirement, budget)
    } catch (error) {
      // Redis runs the commands of one connection in order, so the release finds the late lease.
      runInBackground(store.release(field, leaseId))
      throw error
    }
  }

  function startFlight(
    store: EntryStore,
    resource: Resource,
    params: Params,
    field: EntryField,
    leaseId: string,
    leasedAtMs: number,
  ): Promise<Answer> {
    const answer = loadAndFill(store, resource, params, field, leaseId, leasedAtMs).finally(() =>
      flights.delete(leaseId),
    )
    flights.set(leaseId, { leasedAtMs, answer })
    return answer
  }

  async function loadAndFill(
    store: EntryStore,
    resource: Resource,
    params: Params,
    field: EntryField,
    leaseId: string,
    leasedAtMs: number,
  ): Promise<Answer> {
    let loadResult: LoadResult
    try {
      loadResult = await load(resource, params, field.variant, true)
    } catch (error) {
      runInBackground(store.release(field, leaseId))
      throw error
    }
    const body = bodyOf(loadResult)
    const etag = etagOf(body)
    const ttlMs = ttlOf(resource, loadResult)
    if (ttlMs <= 0 || loadResult.incarnation === null) {
      runInBackground(store.release(field, leaseId))
      return { outcome: 'miss', body, etag, ageMs: 0, ttlMs: 0 }
    }
    const isTooLarge = body !== null && body.length > maxValueBytes
    const freshUntilMs = leasedAtMs + (isTooLarge ? Math.min(TOO_LARGE_TTL_MS, ttlMs) : ttlMs)
    const mayServeStale = resource.staleIfError && body !== null && !isTooLarge
    const staleUntilMs = freshUntilMs + (mayServeStale ? STALE_IF_ERROR_MS : 0)
    const cached: CachedValue = {
      incarnation: loadResult.incarnation,
      leasedAtMs,
      freshUntilMs,
      staleUntilMs,
      etag: isTooLarge ? etagOf(Buffer.from(leaseId)) : etag,
      body: isTooLarge ? 'too large' : body,
    }
    // The response does not wait for the fill.
    runInBackground(
      store.fill(field, leaseId, cached, staleUntilMs - leasedAtMs).then(
        (result) => metrics.fills.labels(resource.name, isTooLarge ? 'too_large' : result).inc(),
        (error: unknown) => {
          metrics.fills.labels(resource.name, 'failed').inc()
          throw error
        },
      ),
    )
    if (isTooLarge) return { outcome: 'miss', detail: TOO_LARGE, body, etag, ageMs: 0, ttlMs: 0 }
    return { outcome: 'miss', body, etag, ageMs: 0, ttlMs }
  }

  /** Returns the TTL of an answer, in milliseconds; 0 if it must not be stored. */
  function ttlOf(resource: Resource, { loaded }: LoadResult): number {
    if (loaded?.cacheable === false) return 0
    if (loaded === null && !absentBucket.take()) {
      metrics.fills.labels(resource.name, 'rate_limited').inc()
      return 0
    }
    const ttlMs = loaded === null ? Math.min(ABSENT_TTL_MS, resource.ttlMs) : resource.ttlMs
    return Math.min(ttlMs * (1 - JITTER * Math.random()), loaded?.expiresInMs ?? Infinity)
  }

  async function bypass(
    resource: Resource,
    params: Params,
    variant: string,
    detail: string,
  ): Promise<Answer> {
    const body = bodyOf(await load(resource, params, variant, false))
    return { outcome: 'bypass', detail, body, etag: etagOf(body), ageMs: 0, ttlMs: 0 }
  }

  function load(
    resource: Resource,
    params: Params,
    variant: string,
    forStorage: boolean,
  ): Promise<LoadResult> {
    metrics.loads.labels(resource.name).inc()
    const stopTimer = metrics.loadSeconds.labels(resource.name).startTimer()
    return loader.load(resource, params, variant, forStorage).finally(stopTimer)
  }

  function runInBackground(pending: Promise<unknown>): void {
    pending.catch(deps.onFillError)
  }

  return { read, openBudget, query: loader.query }
}

/** A running load, and the time of its lease: its data is at least as recent. */
interface Flight {
  readonly leasedAtMs: number
  readonly answer: Promise<Answer>
}

/** Whether a later load may succeed: Postgres is unavailable, or too many loads are running. */
const isTransient = (error: unknown) =>
  error instanceof PublicError ? error.code === 'unavailable' : isUnavailable(error)

const bodyOf = ({ loaded }: LoadResult): Buffer | null =>
  loaded === null ? null : Buffer.from(loaded.body)

const hit = (cached: CachedValue, body: Buffer | null, nowMs: number): Answer => ({
  outcome: 'hit',
  body,
  etag: cached.etag,
  ageMs: Math.max(0, nowMs - cached.leasedAtMs),
  ttlMs: cached.freshUntilMs - nowMs,
})

function miss(loadResult: LoadResult): Answer {
  const body = bodyOf(loadResult)
  return { outcome: 'miss', body, etag: etagOf(body), ageMs: 0, ttlMs: 0 }
}

const meetsRequirement = (
  { incarnation, oldestMs }: FreshnessRequirement,
  cached: CachedValue,
  { ttlMs }: Resource,
  nowMs: number,
): boolean =>
  cached.leasedAtMs >= oldestMs &&
  cached.incarnation === incarnation &&
  isPlausible(cached, ttlMs, nowMs)

/** Whether `load` made a cached value, as far as its resource can verify. */
const isGenuine = (
  resource: Resource,
  params: Params,
  variant: string,
  { body }: CachedValue,
): boolean =>
  resource.isGenuine === undefined ||
  (Buffer.isBuffer(body) && resource.isGenuine(body, params, variant))

/** Whether a fill can have written these times, so that the age of the value is known. */
const canServeStale = (cached: CachedValue, { ttlMs }: Resource, nowMs: number): boolean =>
  isPlausible(cached, ttlMs, nowMs) &&
  cached.staleUntilMs <= cached.freshUntilMs + STALE_IF_ERROR_MS

/** Returns the clock's time; `null` while it is unknown. */
function timeOf(store: EntryStore): number | null {
  try {
    return store.now()
  } catch {
    return null
  }
}

/**
 * Returns the answer, or `null` after `leftMs`. A failed load also fails the requests that joined
 * it.
 */
async function withTimeout(flight: Promise<Answer>, leftMs: number): Promise<Answer | null> {
  const timer = new AbortController()
  try {
    return await Promise.race([
      flight,
      sleep(leftMs, null, { signal: timer.signal }).catch(() => null),
    ])
  } finally {
    timer.abort()
  }
}
