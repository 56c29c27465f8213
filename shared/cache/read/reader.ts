import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import { isUnavailable } from '../../../db/event-log/index.ts'
import { entryKey } from '../definition/key.ts'
import type { Params, Resource } from '../definition/resource.ts'
import { type CachedValue, isPlausible } from '../entry-store/cached-value.ts'
import type { CompressionOptions } from '../entry-store/compression.ts'
import {
  type EntryStore,
  type LeaseReply,
  StoreUnavailable,
  timeOf,
} from '../entry-store/entry-store.ts'
import { TimeBudget } from '../entry-store/time-budget.ts'
import type { ConsistencyToken } from '../freshness/consistency-token.ts'
import type { FreshnessPolicy, FreshnessRequirement } from '../freshness/freshness-policy.ts'
import type { Watermark } from '../freshness/watermark.ts'
import { type Answer, bypassAnswer, missAnswer } from './answer.ts'
import { createFill, STALE_IF_ERROR_MS, TOO_LARGE } from './fill.ts'
import { countLoads } from './count-loads.ts'
import { type Loader, LoaderBusy, type LoadRequest } from './loader.ts'
import type { CacheMetrics } from './metrics.ts'
import type { ReadCall } from './read-call.ts'

/** Reads through the cache. While Redis is unavailable, reads are slower, never wrong. */
export interface Reader<DB> {
  /**
   * Answers one variant of one entry. All reads of one request share a budget; by default a read has
   * its own.
   * @throws LoaderBusy, or the error of Postgres, if the load fails and no stale value may replace it.
   */
  read(
    resource: Resource<DB>,
    params: Params,
    variant: string,
    budget?: TimeBudget,
  ): Promise<Answer>
  /** Returns the time that one request may wait for Redis, over all its reads. */
  openBudget(): TimeBudget
  /** Runs a query that is never cached, under the same limit on concurrent loads. */
  query<T>(work: (trx: Transaction<DB>) => Promise<T>): Promise<T>
}

export interface ReaderDeps<DB> {
  readonly store: EntryStore
  readonly loader: Loader<DB>
  /** Decides which cached values may be used. */
  readonly freshnessPolicy: FreshnessPolicy
  /** Returns the consistency tokens of the current request. By default none. */
  readonly currentConsistencyTokens?: () => readonly ConsistencyToken[]
  readonly prefix: string
  /** Whether a resource is cached at all. By default all are. */
  readonly isCached?: (resource: Resource<DB>) => boolean
  readonly metrics: CacheMetrics
  /** Time that one request may wait for Redis, over all its commands. */
  readonly redisBudgetMs?: number
  /** Largest plain body that is stored, in bytes. By default 1 MiB. */
  readonly maxValueBytes?: number
  /** How stored bodies are compressed. By default those of 1 KiB or more, with level 6. */
  readonly compression?: CompressionOptions
  /** Called with the error of a failed fill, to log it. */
  readonly onFillError: (error: unknown) => void
}

const REDIS_BUDGET_MS = 80
/** Longest wait for a concurrent load. */
const JOIN_TIMEOUT_MS = 1_000
const POLL_FIRST_MS = 4
const POLL_MAX_MS = 64

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
export function createReader<DB>(deps: ReaderDeps<DB>): Reader<DB> {
  const { store, freshnessPolicy, prefix, metrics } = deps
  const { isCached = () => true, currentConsistencyTokens = () => NO_TOKENS } = deps
  const load = countLoads(deps.loader, metrics)
  const fill = createFill({ ...deps, load })
  /** Running loads by lease id, or by the etag of the marker of a value that is too large. */
  const flights = new Map<string, Flight>()
  const processId = randomBytes(9).toString('base64url')
  let leases = 0

  const openBudget = () => new TimeBudget(deps.redisBudgetMs ?? REDIS_BUDGET_MS)

  async function read(
    resource: Resource<DB>,
    params: Params,
    variant: string,
    budget = openBudget(),
  ): Promise<Answer> {
    if (!isCached(resource)) {
      return counted(resource, await bypass({ resource, params, variant }, 'off'))
    }
    const key = entryKey(prefix, resource, params)
    const call: ReadCall<DB> = {
      resource,
      params,
      variant,
      field: { key, variant, reserved: resource.reserved },
      consistencyTokens: currentConsistencyTokens(),
      budget,
      mark: store.watermark(resource.name, key),
      old: null,
    }
    try {
      return counted(resource, await readThrough(call))
    } catch (error) {
      const stale = staleAnswer(call, error)
      if (stale === null) throw error
      return counted(resource, stale)
    }
  }

  function counted({ name }: Resource<DB>, answer: Answer): Answer {
    metrics.reads.of(name, answer.outcome, answer.detail ?? '').n++
    return answer
  }

  /** Finds a fresh value, or loads and stores one. Without Redis it only loads. */
  async function readThrough(call: ReadCall<DB>): Promise<Answer> {
    try {
      const reason = reasonToBypass(call, call.mark)
      if (reason !== undefined) return await bypass(call, reason)
      const found = await store.find(call.field, call.budget)
      if (found === null) return await fillOrWait(call, false)
      const nowMs = store.now(call.field.key)
      const requirement = freshnessPolicy.requirement(call.mark, nowMs)
      const isUnexpired = nowMs < found.freshUntilMs
      const verdict = judge(call, found, call.mark, requirement, nowMs)
      if (verdict === 'fresh' && isUnexpired) {
        return await answerFrom(call, found, nowMs, requirement)
      }
      const isForged = verdict === 'forged'
      if (!isForged && found.incarnation === requirement.incarnation) call.old = found
      const isRejected = isUnexpired && call.old !== null
      const answer = await fillOrWait(call, isForged)
      return isRejected && answer.outcome === 'miss' ? { ...answer, detail: 'freshness' } : answer
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      return bypass(call, 'redis')
    }
  }

  /** Returns why neither an entry nor a concurrent load may be used, and nothing may be stored. */
  function reasonToBypass(call: ReadCall<DB>, mark: Watermark | null): string | undefined {
    const reason = freshnessPolicy.reasonToBypass(call.resource, mark)
    if (reason !== undefined || call.consistencyTokens.length === 0) return reason
    const isSatisfied = freshnessPolicy.satisfies(
      mark,
      call.consistencyTokens,
      store.now(call.field.key),
    )
    return isSatisfied ? undefined : 'consistency'
  }

  /**
   * Judges a cached value. `fresh`: it may be used until its TTL ends. `forged`: `load` did not make it.
   * `mark` is the watermark that was held when the command was sent; `requirement` follows from it.
   */
  function judge(
    call: ReadCall<DB>,
    cached: CachedValue,
    mark: Watermark | null,
    { incarnation, oldestMs }: FreshnessRequirement,
    nowMs: number,
  ): 'fresh' | 'stale' | 'forged' {
    if (!isGenuine(call, cached)) return 'forged'
    const isFresh =
      cached.leasedAtMs >= oldestMs &&
      cached.incarnation === incarnation &&
      isPlausible(cached, call.resource.ttlMs, nowMs) &&
      freshnessPolicy.satisfies(mark, call.consistencyTokens, nowMs)
    return isFresh ? 'fresh' : 'stale'
  }

  /**
   * Answers with a cached value. If it marks a value that is too large to be stored, loads instead.
   */
  function answerFrom(
    call: ReadCall<DB>,
    cached: CachedValue,
    nowMs: number,
    requirement: FreshnessRequirement,
  ): Promise<Answer> | Answer {
    if (cached.body !== 'too large') return hitAnswer(cached, cached.body, nowMs)
    // An invalidation deletes this marker like a lease. So every request that finds it may share a load
    // that began while it existed: that load includes everything that was applied before the request.
    const flight = flights.get(cached.etag)
    if (flight && flight.leasedAtMs >= requirement.oldestMs) {
      return flight.answer.then((answer) => ({ ...answer, collapsed: true }))
    }
    return startFlight(cached.etag, nowMs, async () => ({
      ...missAnswer(await load(call, false)),
      detail: TOO_LARGE,
    }))
  }

  /**
   * Takes the lease and loads, or waits for the holder of the lease, or loads without storing. A forged
   * value counts as absent and is replaced.
   */
  async function fillOrWait(call: ReadCall<DB>, isForgedFirst: boolean): Promise<Answer> {
    const giveUpAt = performance.now() + JOIN_TIMEOUT_MS
    const { key } = call.field
    let isForged = isForgedFirst
    let isWaiting = false
    for (let pauseMs = POLL_FIRST_MS; ; pauseMs = Math.min(POLL_MAX_MS, 2 * pauseMs)) {
      const mark = store.watermark(call.resource.name, key)
      const reason = reasonToBypass(call, mark)
      if (reason !== undefined) return bypass(call, reason)
      const requirement = freshnessPolicy.requirement(mark, store.now(key))
      const leaseId = `${processId}.${++leases}`
      const reply = await requestLease(call, leaseId, requirement, isForged)
      isForged = false
      switch (reply.state) {
        case 'hit': {
          // The script checked the value earlier; the watermark may have become too old since.
          const nowMs = Math.max(store.now(key), reply.nowMs)
          const requirementNow = freshnessPolicy.requirement(mark, nowMs)
          const verdict = judge(call, reply.cached, mark, requirementNow, nowMs)
          if (verdict === 'fresh') {
            return answerFrom(call, reply.cached, reply.nowMs, requirementNow)
          }
          isForged = verdict === 'forged'
          break
        }
        case 'lease':
          return startFlight(leaseId, reply.nowMs, () => fill(call, leaseId, reply.nowMs))
        case 'full':
          return missAnswer(await load(call, false))
        case 'held': {
          if (!isWaiting) metrics.leaseWaits.labels(call.resource.name).inc()
          isWaiting = true
          const leftMs = giveUpAt - performance.now()
          if (leftMs <= 0) return missAnswer(await load(call, false))
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
    call: ReadCall<DB>,
    leaseId: string,
    requirement: FreshnessRequirement,
    isForged: boolean,
  ): Promise<LeaseReply> {
    // No value is this young, so the script grants the lease although a forged value is stored.
    const oldestMs = isForged ? Number.MAX_SAFE_INTEGER : requirement.oldestMs
    const wanted = { ...requirement, oldestMs, longestMs: call.resource.ttlMs }
    try {
      return await store.lease(call.field, leaseId, wanted, call.budget)
    } catch (error) {
      // Redis runs the commands of one connection in order, so the release finds the late lease.
      store.release(call.field, leaseId).catch(deps.onFillError)
      throw error
    }
  }

  /** Starts a load that other requests may share while it runs. */
  function startFlight(
    id: string,
    leasedAtMs: number,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    const flight: Flight = {
      leasedAtMs,
      answer: work().finally(() => {
        if (flights.get(id) === flight) flights.delete(id)
      }),
    }
    flights.set(id, flight)
    return flight.answer
  }

  async function bypass(request: LoadRequest<DB>, detail: string): Promise<Answer> {
    return bypassAnswer(await load(request, false), detail)
  }

  /**
   * Returns the old value in place of a load that failed; `null` if there is none, it is too old, or a
   * later load would fail in the same way.
   */
  function staleAnswer(call: ReadCall<DB>, error: unknown): Answer | null {
    const { old, resource } = call
    if (old === null || !resource.staleIfError || !isTransient(error)) return null
    const nowMs = timeOf(store, call.field.key)
    if (nowMs === null || nowMs >= old.staleUntilMs || old.body === 'too large') return null
    if (!hasPossibleTimes(old, resource.ttlMs, nowMs)) return null
    if (!freshnessPolicy.satisfies(call.mark, call.consistencyTokens, nowMs)) return null
    return { ...hitAnswer(old, old.body, nowMs), outcome: 'stale', detail: 'error' }
  }

  return { read, openBudget, query: deps.loader.query }
}

const NO_TOKENS: readonly ConsistencyToken[] = []

/** A running load, and the time of its lease: its data is at least as recent. */
interface Flight {
  readonly leasedAtMs: number
  readonly answer: Promise<Answer>
}

/** Whether a later load may succeed: Postgres is unavailable, or too many loads are running. */
const isTransient = (error: unknown) => error instanceof LoaderBusy || isUnavailable(error)

const hitAnswer = (cached: CachedValue, body: Buffer | null, nowMs: number): Answer => ({
  outcome: 'hit',
  body,
  ...(cached.encoding && { encoding: cached.encoding }),
  etag: cached.etag,
  ageMs: Math.max(0, nowMs - cached.leasedAtMs),
  ttlMs: cached.freshUntilMs - nowMs,
})

/** Whether `load` made a cached value, as far as its resource can verify. */
const isGenuine = <DB>(
  { resource, params, variant }: LoadRequest<DB>,
  { body, encoding }: CachedValue,
): boolean =>
  resource.isGenuine === undefined ||
  (encoding === undefined && Buffer.isBuffer(body) && resource.isGenuine(body, params, variant))

/** Whether a fill can have written these times, so that the age of the value is known. */
const hasPossibleTimes = (cached: CachedValue, ttlMs: number, nowMs: number): boolean =>
  isPlausible(cached, ttlMs, nowMs) &&
  cached.staleUntilMs <= cached.freshUntilMs + STALE_IF_ERROR_MS

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
