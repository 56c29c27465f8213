import {
  BrokenCircuitError,
  CircuitState,
  type CircuitBreakerPolicy,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
} from 'cockatiel'
import { createGathering, type Redis } from '../redis/redis.ts'
import { hasMoved, isDenial, isWrongType } from '../redis/replies.ts'
import { type Budget, SharedBudget, TimeBudget } from './time-budget.ts'
import { FILL, FIND, LEASE, RELEASE } from './entry-scripts.ts'
import {
  decodeValue,
  encodeValue,
  type CachedValue,
  HEADER_BYTES,
  plainLengthOf,
} from './cached-value.ts'
import type { FreshnessRequirement } from '../freshness/freshness-policy.ts'
import { clockKey, watermarkKey } from '../definition/key.ts'
import type { RedisError, StoreMetrics } from './metrics.ts'
import { parsePoll, POLL, type PollReply, PolledState } from '../freshness/polled-state.ts'
import type { Watermark } from '../freshness/watermark.ts'
import { TimedOut, CommandTimer } from './command-timer.ts'

/** Reply to a request for a lease. */
export type LeaseReply =
  | { readonly state: 'hit'; readonly nowMs: number; readonly cached: CachedValue }
  | { readonly state: 'held'; readonly nowMs: number; readonly leaseId: string }
  | { readonly state: 'full'; readonly nowMs: number }
  | { readonly state: 'lease'; readonly nowMs: number }

export type FillResult = 'stored' | 'revoked' | 'full'

/** One variant of one entry. */
export interface EntryField {
  readonly key: string
  readonly variant: string
  /** Variants of the entry that are never evicted. */
  readonly reserved?: readonly string[] | undefined
}

/**
 * Redis commands of a reader. All but `watermark` throw if Redis is unavailable, slow or not polled
 * yet.
 */
export interface EntryStore {
  /**
   * Returns the time of the clock that measures the ages of an entry.
   * @throws StoreUnavailable while its Redis does not answer.
   */
  now(key: string): number
  /**
   * Returns the watermark of the last poll on the connection of an entry, to check replies to commands
   * sent now.
   */
  watermark(resource: string, key: string): Watermark | null
  /** Returns the last polled state of a resource in each bucket. */
  states(resource: string): readonly StoreState[]
  /**
   * Returns a value; null if there is none. Finds of the same field share a command if all begin before
   * it is sent. So each gets a state of Redis from after its beginning.
   */
  find(field: EntryField, budget: TimeBudget): Promise<CachedValue | null>
  lease(
    field: EntryField,
    leaseId: string,
    requirement: FreshnessRequirement,
    budget: TimeBudget,
  ): Promise<LeaseReply>
  fill(field: EntryField, leaseId: string, cached: CachedValue, keepMs: number): Promise<FillResult>
  release(field: EntryField, leaseId: string): Promise<void>
}

/** Watermark of a resource in one bucket, and the time of its clock; each `null` if unknown. */
export interface StoreState {
  readonly mark: Watermark | null
  readonly nowMs: number | null
}

/** Thrown while Redis cannot be used. Readers then load from Postgres. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

export interface EntryStoreOptions {
  /** Prefix of every key. */
  readonly prefix: string
  /**
   * Time-out of one command. The client's own must be longer, because after it no reply is received.
   */
  readonly commandTimeoutMs: number
  readonly onState?: (usable: boolean) => void
  /** Called for each command that Redis does not permit. */
  readonly onDenied?: (error: Error) => void
  /** Called if the keys have moved to another server. */
  readonly onMoved?: () => void
  /** State of the last poll. By default the store has its own. */
  readonly polledState?: PolledState
  readonly metrics?: StoreMetrics
  /** Largest plain body that is stored and read, in bytes. */
  readonly maxValueBytes?: number
}

/** Default limit of a plain body, in bytes. */
export const MAX_VALUE_BYTES = 1_048_576

type Command = 'find' | 'lease' | 'fill' | 'release' | 'poll'

/** Time that a reader has to fill; then another reader may take the lease. */
const LEASE_MS = 5_000
const MAX_VARIANTS = 64
/**
 * Variants and leases together, so that requests for variants that are never stored cannot grow an
 * entry.
 */
const MAX_FIELDS = 2 * MAX_VARIANTS
const POLL_MS = 250
/**
 * Limit on suspects. An outage makes every field suspect, and the next read of each costs a little
 * more.
 */
const MAX_SUSPECTS = 1_000
/** After this many commands in a row without a reply, requests skip Redis until a poll succeeds. */
const FAILURES_TO_OPEN = 5
const HALF_OPEN_AFTER_MS = 500

/**
 * Creates an entry store on Redis. It polls on its own, and only the poll closes its circuit
 * breaker.
 */
export function createEntryStore(
  redis: Redis,
  options: EntryStoreOptions,
): EntryStore & Disposable {
  const {
    prefix,
    commandTimeoutMs,
    onState,
    onDenied,
    onMoved,
    polledState = new PolledState(),
    metrics,
  } = options
  const maxValueBytes = options.maxValueBytes ?? MAX_VALUE_BYTES
  const maxStoredBytes = HEADER_BYTES + maxValueBytes
  const breaker: CircuitBreakerPolicy = circuitBreaker(handleWhen(isOutage), {
    halfOpenAfter: HALF_OPEN_AFTER_MS,
    breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
  })
  breaker.onStateChange((state) => metrics?.breakerOpen.set(state === CircuitState.Closed ? 0 : 1))
  const scripted = defineScripts(redis)
  /** Finds of this turn of the event loop, by key and variant. They are not sent yet. */
  const unsent = new Map<string, SharedFind>()
  const gather = createGathering(redis, () => unsent.clear())
  const secondsOf = childrenOf(metrics)

  const commandTimer = new CommandTimer(commandTimeoutMs)
  async function attempt<T>(command: Command, send: () => Promise<T>, budget: Budget): Promise<T> {
    try {
      return await breaker.execute(() => {
        gather()
        return commandTimer.track(send(), budget, secondsOf?.[command])
      })
    } catch (error) {
      if (isDenial(error)) onDenied?.(error)
      if (hasMoved(error)) {
        // The polled watermarks do not describe the entries of the server that has the keys now.
        polledState.reset()
        onMoved?.()
      }
      // A command that the breaker rejected was never sent.
      if (!(error instanceof BrokenCircuitError)) metrics?.errors.labels(reasonOf(error)).inc()
      throw error
    }
  }

  let usable = false
  const setUsable = (next: boolean) => {
    if (next !== usable) onState?.((usable = next))
  }

  // Only this poll probes Redis. Until it succeeds, requests load from Postgres.
  const poll = async () => {
    const sentAtMs = performance.now()
    try {
      const reply = await attempt(
        'poll',
        () => scripted.cachePoll(watermarkKey(prefix), clockKey(prefix), polledState.minimumMs()),
        new TimeBudget(commandTimeoutMs),
      )
      polledState.set(parsePoll(reply), sentAtMs)
      setUsable(true)
    } catch {
      if (breaker.state !== CircuitState.Closed) setUsable(false)
    }
  }
  const timer = setInterval(() => void poll(), POLL_MS)
  timer.unref()
  const onReady = () => void poll()
  const onClose = () => {
    polledState.reset()
    setUsable(false)
  }
  redis.on('ready', onReady)
  redis.on('close', onClose)
  if (redis.status === 'ready') onReady()

  function now(): number {
    const nowMs = currentMs()
    if (nowMs === null) throw new StoreUnavailable('Redis does not answer')
    return nowMs
  }

  function currentMs(): number | null {
    return breaker.state === CircuitState.Closed ? polledState.now() : null
  }

  async function run<T>(
    command: Command,
    send: () => Promise<T>,
    budget: Budget = new TimeBudget(commandTimeoutMs),
  ): Promise<T> {
    // Throws while the breaker is open or the time is unknown.
    now()
    // An empty budget is no fault of Redis, so the breaker must not count it.
    if (budget.leftMs <= 0) throw new StoreUnavailable('no time left for Redis')
    try {
      return await attempt(command, send, budget)
    } catch (error) {
      throw new StoreUnavailable('the Redis command failed', { cause: error })
    }
  }

  /**
   * Fields whose value did not arrive in time. The value may be too large to be sent, so its size is
   * checked first until another value is found. Otherwise a burst of reads would request it again.
   */
  const suspects = new Set<string>()
  function suspect(field: string): void {
    suspects.delete(field)
    suspects.add(field)
    if (suspects.size <= MAX_SUSPECTS) return
    for (const oldest of suspects) return void suspects.delete(oldest)
  }

  async function find(
    id: string,
    { key, variant }: EntryField,
    budget: Budget,
  ): Promise<CachedValue | null> {
    const isSuspect = suspects.size > 0 && suspects.has(id)
    const send = isSuspect
      ? () => scripted.cacheFindBuffer(key, variant, maxStoredBytes)
      : () => redis.hgetBuffer(key, variant)
    try {
      const bytes = await run('find', send, budget)
      if (isSuspect && bytes?.length !== 0) suspects.delete(id)
      const cached = decodeValue(bytes)
      if (cached === null && bytes !== null) metrics?.unreadable.labels('value').inc()
      // Bounds the memory that an inflated body takes. The next load replaces the value.
      const isInflatable = cached?.encoding === undefined || plainLengthOf(cached) <= maxValueBytes
      return isInflatable ? cached : null
    } catch (error) {
      if (isTimeout(error)) suspect(id)
      const cause = error instanceof StoreUnavailable ? error.cause : undefined
      if (!isWrongType(cause)) throw error
      metrics?.unreadable.labels('key').inc()
      return null
    }
  }

  return {
    now,
    watermark: (resource) => polledState.watermark(resource),
    states: (resource) => [{ mark: polledState.watermark(resource), nowMs: currentMs() }],

    find(field, budget) {
      const id = `${field.key} ${field.variant}`
      // With less time than the time-out, a command may fail that has enough time for other reads.
      if (budget.leftMs < commandTimeoutMs || !gather()) return find(id, field, budget)
      const shared = unsent.get(id)
      if (shared !== undefined) {
        shared.budget.join(budget)
        return shared.found
      }
      const sharedBudget = new SharedBudget(budget)
      const found = find(id, field, sharedBudget)
      unsent.set(id, { found, budget: sharedBudget })
      return found
    },

    async lease({ key, variant, reserved }, leaseId, requirement, budget) {
      const { incarnation, oldestMs, longestMs = Number.MAX_SAFE_INTEGER } = requirement
      const isReserved = reserved?.includes(variant) === true ? 1 : 0
      const incarnationBytes = Buffer.from(incarnation ?? '', 'hex')
      const [state, nowMs, rest] = await run(
        'lease',
        () =>
          scripted.cacheLeaseBuffer(
            key,
            clockKey(prefix),
            variant,
            leaseId,
            LEASE_MS,
            oldestMs,
            MAX_FIELDS,
            incarnationBytes,
            longestMs,
            maxStoredBytes,
            isReserved,
          ),
        budget,
      )
      switch (String(state)) {
        case 'hit': {
          // LEASE checks the format, so a value that cannot be decoded is not expected. The reader then
          // loads without storing.
          const cached = decodeValue(rest as Buffer)
          return cached ? { state: 'hit', nowMs, cached } : { state: 'full', nowMs }
        }
        case 'held':
          return { state: 'held', nowMs, leaseId: String(rest) }
        case 'lease':
          return { state: 'lease', nowMs }
        default:
          return { state: 'full', nowMs }
      }
    },

    fill: ({ key, variant, reserved = [] }, leaseId, cached, keepMs) =>
      run('fill', () =>
        scripted.cacheFill(
          key,
          variant,
          leaseId,
          encodeValue(cached),
          Math.ceil(keepMs),
          MAX_VARIANTS,
          maxStoredBytes,
          reserved.map((name) => `${name}\n`).join(''),
        ),
      ),

    async release({ key, variant }, leaseId) {
      await run('release', () => scripted.cacheRelease(key, variant, leaseId))
    },

    [Symbol.dispose]() {
      clearInterval(timer)
      redis.off('ready', onReady)
      redis.off('close', onClose)
    },
  }
}

/** A find that several reads share. */
interface SharedFind {
  readonly found: Promise<CachedValue | null>
  readonly budget: SharedBudget
}

/** Returns the time of an entry's clock; `null` while it is unknown. */
export function timeOf(store: Pick<EntryStore, 'now'>, key: string): number | null {
  try {
    return store.now(key)
  } catch {
    return null
  }
}

/**
 * Returns whether an error means that the server is away, does not serve, or is slow. Any other error
 * reply concerns one command, and other commands still succeed.
 */
function isOutage(error: Error): boolean {
  if (error instanceof TimedOut) return error.isSlow
  if (error.name !== 'ReplyError') return true
  return NOT_SERVING.has(error.message.split(' ', 1)[0] as string)
}

const NOT_SERVING = new Set(['BUSY', 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN'])

const isTimeout = (error: unknown) =>
  error instanceof StoreUnavailable && error.cause instanceof TimedOut

/** Metrics by command, looked up once: a look-up costs more than an observation. */
const childrenOf = (metrics: StoreMetrics | undefined) =>
  metrics && {
    find: metrics.commandSeconds.of('find'),
    lease: metrics.commandSeconds.of('lease'),
    fill: metrics.commandSeconds.of('fill'),
    release: metrics.commandSeconds.of('release'),
    poll: metrics.commandSeconds.of('poll'),
  }

function reasonOf(error: unknown): RedisError {
  if (error instanceof TimedOut) return 'timeout'
  return error instanceof Error && error.name === 'ReplyError' ? 'reply' : 'connection'
}

interface Scripted {
  cachePoll(watermarks: string, clock: string, leastMs: number): Promise<PollReply>
  cacheLeaseBuffer(
    key: string,
    clock: string,
    variant: string,
    leaseId: string,
    leaseMs: number,
    oldestMs: number,
    mostFields: number,
    incarnation: Buffer,
    longestMs: number,
    mostBytes: number,
    isReserved: number,
  ): Promise<[Buffer, number, Buffer?]>
  cacheFill(
    key: string,
    variant: string,
    leaseId: string,
    cached: Buffer,
    keepMs: number,
    mostVariants: number,
    mostBytes: number,
    reserved: string,
  ): Promise<FillResult>
  cacheFindBuffer(key: string, variant: string, mostBytes: number): Promise<Buffer | null>
  cacheRelease(key: string, variant: string, leaseId: string): Promise<number>
}

function defineScripts(redis: Redis): Scripted {
  redis.defineCommand('cachePoll', { numberOfKeys: 2, lua: POLL })
  redis.defineCommand('cacheLease', { numberOfKeys: 2, lua: LEASE })
  redis.defineCommand('cacheFill', { numberOfKeys: 1, lua: FILL })
  redis.defineCommand('cacheFind', { numberOfKeys: 1, lua: FIND })
  redis.defineCommand('cacheRelease', { numberOfKeys: 1, lua: RELEASE })
  return redis as unknown as Scripted
}
