import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { PublicError } from '../errors.ts'
import { isUnavailable } from '../unavailable.ts'
import type { Answer } from './answer.ts'
import { TimeBudget } from './time-budget.ts'
import { etagOf, type CachedValue, isPlausible } from './cached-value.ts'
import type { FreshnessRequirement, FreshnessPolicy } from './freshness-policy.ts'
import { entryKey } from './key.ts'
import type { Loader, LoadResult } from './loader.ts'
import type { CacheMetrics } from './metrics.ts'
import { TokenBucket } from './token-bucket.ts'
import type { Params, Resource } from './resource.ts'
import {
  type EntryStore,
  type LeaseReply,
  MAX_VALUE_BYTES,
  type EntryField,
  StoreUnavailable,
} from './entry-store.ts'
import type { ConsistencyToken } from './consistency-token.ts'
import type { Watermark } from './watermark.ts'

/** Reads through the cache. While Redis is away reads are slower, never wrong. */
export interface Reader {
  /**
   * Answers one variant of one entry. What is read for one request shares its budget; by default
   * a read has one of its own.
   * @throws PublicError `unavailable` when it cannot be loaded now and nothing may stand in for it.
   */
  read(resource: Resource, params: Params, variant: string, budget?: TimeBudget): Promise<Answer>
  /** How long one request may wait for Redis, over all that is read for it. */
  openBudget(): TimeBudget
  /** Runs a query that is never cached, through the same limiter on concurrent loads. */
  query<T>(work: (trx: Transaction<Database>) => Promise<T>): Promise<T>
}

export interface ReaderDeps {
  /** `null`: the cache is switched off. */
  readonly store: EntryStore | null
  readonly loader: Loader
  /** Judges what comes out of Redis. */
  readonly freshnessPolicy: FreshnessPolicy
  /** What the request on whose behalf this runs wants to see again. By default nothing. */
  readonly currentConsistencyTokens?: () => readonly ConsistencyToken[]
  readonly prefix: string
  /** Whether a resource is cached at all. */
  readonly isCached: (resource: Resource) => boolean
  readonly metrics: CacheMetrics
  /** How long one request may wait for Redis, over all its commands. */
  readonly redisBudgetMs?: number
  /** What is longer is not stored. By default 1 MiB. */
  readonly maxValueBytes?: number
  /** Told of a fill that failed, for the log. */
  readonly onFillError: (error: unknown) => void
}

const REDIS_BUDGET_MS = 80
/** How long to wait for somebody else's load. */
const JOIN_TIMEOUT_MS = 1_000
const POLL_FIRST_MS = 4
const POLL_MAX_MS = 64
const ABSENT_TTL_MS = 60_000
/** Ids that nobody has are without number; what Redis keeps of them is not. */
const ABSENT_PER_S = 100
const ABSENT_BURST = 1_000
/** How long it is remembered that something is too large; also after the limit was raised. */
const TOO_LARGE_TTL_MS = 60_000
const TOO_LARGE = 'large'
const STALE_IF_ERROR_MS = 5 * 60_000
/** Entries that were filled together should not expire together. */
const JITTER = 0.05

/**
 * The cache engine. Invariants:
 *
 * - A load that is to be stored begins after the reply that gave its lease arrived, and is stored
 *   only if that lease is still there. An invalidation takes leases away with the values, so what
 *   was read before a change cannot be stored after it.
 * - A load is shared by lease token, never by key: nobody who arrives after an invalidation joins a
 *   load that began before it, because the token it is told is then another one.
 * - What comes out of Redis is judged by the watermark that was held when the command was sent.
 * - Whatever goes wrong with Redis leads to a load from Postgres that is not stored.
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
  /** By the token of a lease, or by the etag of the frame that says that something is too large. */
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

  /** What is no longer fresh, for a load that failed; `null` when there is none, or it is too old even for that. */
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

  /** Why neither an entry nor another's load will do, and nothing may be stored. */
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

  /** Answers with a frame; where it says that the value is too large to be stored, with a load. */
  async function answerFrom(
    resource: Resource,
    params: Params,
    variant: string,
    cached: CachedValue,
    nowMs: number,
    requirement: FreshnessRequirement,
  ): Promise<Answer> {
    if (cached.body !== 'too large') return hit(cached, cached.body, nowMs)
    // An invalidation takes the frame away like a lease, so a load that began while it was there is
    // shared by who finds it there: all that was applied before they asked is in that load.
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

  /** Takes the lease and loads; or waits for whoever has it; or loads without filling. */
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
      // Nothing is as young as this, so the script gives the lease for what a forged value stands in.
      const oldestMs = isForged ? Number.MAX_SAFE_INTEGER : requirement.oldestMs
      const wanted = { ...requirement, oldestMs, longestMs }
      const reply = await requestLease(store, field, leaseId, wanted, budget)
      isForged = false
      switch (reply.state) {
        case 'hit': {
          isForged = !isGenuine(resource, params, field.variant, reply.cached)
          if (isForged) break
          // The script looked when it ran; the watermark may have grown too old since.
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

  /** Asks for the lease; one that comes too late is given back, or others would wait for nobody. */
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
      // Commands of one connection run in their order, so this one finds the late lease.
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

  /** How long an answer may be kept by TTL alone; 0 for what is not kept. */
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
    const taken = metrics.loadSeconds.labels(resource.name).startTimer()
    return loader.load(resource, params, variant, forStorage).finally(taken)
  }

  function runInBackground(pending: Promise<unknown>): void {
    pending.catch(deps.onFillError)
  }

  return { read, openBudget, query: loader.query }
}

/** A load under way, and what it is at least as young as. */
interface Flight {
  readonly leasedAtMs: number
  readonly answer: Promise<Answer>
}

/** Whether another time the load may succeed: Postgres is away, or there are too many loads. */
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

/** Whether a frame is as `load` made it, as far as its resource can tell. */
const isGenuine = (
  resource: Resource,
  params: Params,
  variant: string,
  { body }: CachedValue,
): boolean =>
  resource.isGenuine === undefined ||
  (Buffer.isBuffer(body) && resource.isGenuine(body, params, variant))

/** Whether its times can be those of a fill, so that it is known how old it is. */
const canServeStale = (cached: CachedValue, { ttlMs }: Resource, nowMs: number): boolean =>
  isPlausible(cached, ttlMs, nowMs) &&
  cached.staleUntilMs <= cached.freshUntilMs + STALE_IF_ERROR_MS

/** Redis' time; `null` while nobody can tell. */
function timeOf(store: EntryStore): number | null {
  try {
    return store.now()
  } catch {
    return null
  }
}

/** The answer, or `null` when patience ran out first. A load that failed fails its joiners too. */
async function withTimeout(flight: Promise<Answer>, leftMs: number): Promise<Answer | null> {
  const patience = new AbortController()
  try {
    return await Promise.race([
      flight,
      sleep(leftMs, null, { signal: patience.signal }).catch(() => null),
    ])
  } finally {
    patience.abort()
  }
}
