import {
  BrokenCircuitError,
  CircuitState,
  type CircuitBreakerPolicy,
  circuitBreaker,
  ConsecutiveBreaker,
  handleAll,
} from 'cockatiel'
import { createGathering, type Redis } from '../redis.ts'
import { isDenial, isWrongType } from '../redis-replies.ts'
import { Budget } from './budget.ts'
import { FILL, LEASE, RELEASE, TRIM } from './entry-scripts.ts'
import { decodeFrame, encodeFrame, type Frame } from './frame.ts'
import type { Demand } from './guard.ts'
import { clockKey, watermarkKey } from './key.ts'
import type { RedisError, StoreMetrics } from './metrics.ts'
import { parsePoll, POLL, type PollReply, Sight } from './sight.ts'
import type { Watermark } from './watermark.ts'
import { TimedOut, Waits } from './waits.ts'

/** What asking for a lease may bring. */
export type LeaseReply =
  | { readonly state: 'hit'; readonly nowMs: number; readonly frame: Frame }
  | { readonly state: 'held'; readonly nowMs: number; readonly token: string }
  | { readonly state: 'full'; readonly nowMs: number }
  | { readonly state: 'lease'; readonly nowMs: number }

export type FillResult = 'stored' | 'withdrawn' | 'full'

/** One variant of one entry. */
export interface Place {
  readonly key: string
  readonly variant: string
}

/** The four things that a reader does with Redis. Each throws when Redis is away, slow or not yet known. */
export interface EntryStore {
  /** Redis' time now. @throws StoreUnavailable while Redis does not answer. */
  now(): number
  /** How far Redis has been brought, as this connection last saw it: to judge by what is asked now. */
  watermark(resource: string): Watermark | null
  find(place: Place, budget: Budget): Promise<Frame | null>
  lease(place: Place, token: string, demand: Demand, budget: Budget): Promise<LeaseReply>
  fill(place: Place, token: string, frame: Frame, keepMs: number): Promise<FillResult>
  release(place: Place, token: string): Promise<void>
}

/** Redis cannot be used now; Postgres can. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

export interface RedisStoreOptions {
  /** Of every key. */
  readonly prefix: string
  /** How long one command may take. The client's own time-out should be longer: it hears no late reply. */
  readonly commandTimeoutMs: number
  readonly onState?: (usable: boolean) => void
  /** Told of each command that Redis did not permit. */
  readonly onDenied?: (error: Error) => void
  /** What is known of Redis between two polls. By default one of its own. */
  readonly sight?: Sight
  readonly metrics?: StoreMetrics
}

type Command = 'find' | 'lease' | 'fill' | 'release' | 'poll'

/** How long a reader may take to fill; then another may try. */
const LEASE_MS = 5_000
const MAX_VARIANTS = 64
/** No fill is as large: what is holds up everything that waits behind it. */
const HUGE_BYTES = 8 * 2 ** 20
/** Variants and leases together, so that asking for what is never stored cannot grow an entry. */
const MAX_FIELDS = 2 * MAX_VARIANTS
const POLL_MS = 250
/** So many time-outs in a row, and requests stop trying until a poll has gone through. */
const FAILURES_TO_OPEN = 5
const HALF_OPEN_AFTER_MS = 500

/** An entry store on Redis, with a poll of its own and a circuit breaker that only the poll closes. */
export function createRedisStore(
  redis: Redis,
  { prefix, commandTimeoutMs, onState, onDenied, sight = new Sight(), metrics }: RedisStoreOptions,
): EntryStore & Disposable {
  const breaker: CircuitBreakerPolicy = circuitBreaker(handleAll, {
    halfOpenAfter: HALF_OPEN_AFTER_MS,
    breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
  })
  breaker.onStateChange((state) => metrics?.breakerOpen.set(state === CircuitState.Closed ? 0 : 1))
  const scripted = defineScripts(redis)
  const gather = createGathering(redis)
  const secondsOf = childrenOf(metrics)

  const waits = new Waits(commandTimeoutMs)
  async function attempt<T>(command: Command, send: () => Promise<T>, budget: Budget): Promise<T> {
    try {
      return await breaker.execute(() => {
        gather()
        return waits.for(send(), budget, secondsOf?.[command])
      })
    } catch (error) {
      if (isDenial(error)) onDenied?.(error)
      // What the breaker turned away was not sent.
      if (!(error instanceof BrokenCircuitError)) metrics?.errors.labels(reasonOf(error)).inc()
      throw error
    }
  }

  let usable = false
  const become = (next: boolean) => {
    if (next !== usable) onState?.((usable = next))
  }

  // Requests never probe: they go to Postgres until this has found Redis answering again.
  const poll = async () => {
    const sentAtMs = performance.now()
    try {
      const reply = await attempt(
        'poll',
        () => scripted.spmsPoll(watermarkKey(prefix), clockKey(prefix), sight.leastMs()),
        new Budget(commandTimeoutMs),
      )
      sight.set(parsePoll(reply), sentAtMs)
      become(true)
    } catch {
      if (breaker.state !== CircuitState.Closed) become(false)
    }
  }
  const timer = setInterval(() => void poll(), POLL_MS)
  timer.unref()
  const onReady = () => void poll()
  const onClose = () => {
    sight.forget()
    become(false)
  }
  redis.on('ready', onReady)
  redis.on('close', onClose)
  if (redis.status === 'ready') onReady()

  function now(): number {
    const nowMs = breaker.state === CircuitState.Closed ? sight.now() : null
    if (nowMs === null) throw new StoreUnavailable('Redis does not answer')
    return nowMs
  }

  async function run<T>(
    command: Command,
    send: () => Promise<T>,
    budget = new Budget(commandTimeoutMs),
  ): Promise<T> {
    now()
    // Not Redis' fault, so not for the breaker to count.
    if (budget.leftMs <= 0) throw new StoreUnavailable('no time left for Redis')
    try {
      return await attempt(command, send, budget)
    } catch (error) {
      throw new StoreUnavailable('Redis did not answer in time', { cause: error })
    }
  }

  return {
    now,
    watermark: (resource) => sight.watermark(resource),

    async find({ key, variant }, budget) {
      try {
        const bytes = await run('find', () => redis.hgetBuffer(key, variant), budget)
        const frame = decodeFrame(bytes)
        if (frame === null && bytes !== null) metrics?.unreadable.labels('value').inc()
        return frame
      } catch (error) {
        const cause = error instanceof StoreUnavailable ? error.cause : undefined
        // It may have been too large to arrive in time, and would be again.
        if (cause instanceof TimedOut) scripted.spmsTrim(key, variant, HUGE_BYTES).catch(() => {})
        if (!isWrongType(cause)) throw error
        metrics?.unreadable.labels('key').inc()
        return null
      }
    },

    async lease({ key, variant }, token, demand, budget) {
      const { incarnation, oldestMs, longestMs = Number.MAX_SAFE_INTEGER } = demand
      const life = Buffer.from(incarnation ?? '', 'hex')
      const [state, nowMs, rest] = await run(
        'lease',
        () =>
          scripted.spmsLeaseBuffer(
            key,
            clockKey(prefix),
            variant,
            token,
            LEASE_MS,
            oldestMs,
            MAX_FIELDS,
            life,
            longestMs,
          ),
        budget,
      )
      switch (String(state)) {
        case 'hit': {
          const frame = decodeFrame(rest as Buffer)
          return frame ? { state: 'hit', nowMs, frame } : { state: 'full', nowMs }
        }
        case 'held':
          return { state: 'held', nowMs, token: String(rest) }
        case 'lease':
          return { state: 'lease', nowMs }
        default:
          return { state: 'full', nowMs }
      }
    },

    fill: ({ key, variant }, token, frame, keepMs) =>
      run('fill', () =>
        scripted.spmsFill(key, variant, token, encodeFrame(frame), Math.ceil(keepMs), MAX_VARIANTS),
      ),

    async release({ key, variant }, token) {
      await run('release', () => scripted.spmsRelease(key, variant, token))
    },

    [Symbol.dispose]() {
      clearInterval(timer)
      redis.off('ready', onReady)
      redis.off('close', onClose)
    },
  }
}

/** Taken once: looking a child up costs more than it does to observe. */
const childrenOf = (metrics: StoreMetrics | undefined) =>
  metrics && {
    find: metrics.commandSeconds.labels('find'),
    lease: metrics.commandSeconds.labels('lease'),
    fill: metrics.commandSeconds.labels('fill'),
    release: metrics.commandSeconds.labels('release'),
    poll: metrics.commandSeconds.labels('poll'),
  }

function reasonOf(error: unknown): RedisError {
  if (error instanceof TimedOut) return 'timeout'
  return error instanceof Error && error.name === 'ReplyError' ? 'reply' : 'connection'
}

interface Scripted {
  spmsPoll(watermarks: string, clock: string, leastMs: number): Promise<PollReply>
  spmsLeaseBuffer(
    key: string,
    clock: string,
    variant: string,
    token: string,
    leaseMs: number,
    oldestMs: number,
    mostFields: number,
    incarnation: Buffer,
    longestMs: number,
  ): Promise<[Buffer, number, Buffer?]>
  spmsFill(
    key: string,
    variant: string,
    token: string,
    frame: Buffer,
    keepMs: number,
    mostVariants: number,
  ): Promise<FillResult>
  spmsRelease(key: string, variant: string, token: string): Promise<number>
  spmsTrim(key: string, variant: string, mostBytes: number): Promise<number>
}

function defineScripts(redis: Redis): Scripted {
  redis.defineCommand('spmsPoll', { numberOfKeys: 2, lua: POLL })
  redis.defineCommand('spmsLease', { numberOfKeys: 2, lua: LEASE })
  redis.defineCommand('spmsFill', { numberOfKeys: 1, lua: FILL })
  redis.defineCommand('spmsRelease', { numberOfKeys: 1, lua: RELEASE })
  redis.defineCommand('spmsTrim', { numberOfKeys: 1, lua: TRIM })
  return redis as unknown as Scripted
}
