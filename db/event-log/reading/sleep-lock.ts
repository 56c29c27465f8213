import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, QueryConfig, QueryResult } from 'pg'
import { LOCK, LOCK_CLASS } from './event.ts'

/**
 * Lets all replicas be idle at the same time while every writer notifies.
 *
 * A writer tries to take the sleep lock in shared mode, without waiting. Postgres rejects that if
 * another session holds the lock exclusively or waits for it exclusively. So an idle replica requests
 * the lock with a call that waits, on a separate connection. One replica holds the lock and the others
 * stay in the queue; each of them makes every later writer notify. When the holder releases the lock,
 * Postgres grants it to the next replica in the same step, so writers never find it free.
 *
 * Invariant: `request` returns true only after one read of `pg_locks` showed this session's request
 * and an exclusive holder. At that time no writer held the lock in shared mode. So every earlier
 * writer has ended and is visible to later windows. Every later writer notifies while the request
 * remains.
 */
export interface SleepLock extends AsyncDisposable {
  /** Requests the lock. Returns whether every writer notifies from now on. */
  request(): Promise<boolean>
  /** Withdraws the request, or releases the lock. Never fails: on an error it closes the connection. */
  release(): Promise<void>
  /** Whether every writer has notified since `request` returned true. */
  isRequested(): boolean
  /** Registers a listener for the loss of the lock or of its place in the queue. */
  onLost(listener: () => void): void
  /** Keeps the connection alive: a stopped process loses its lock after five seconds. */
  ping(): Promise<void>
}

export interface SleepLockDeps {
  /** The session that reads windows; it also reads `pg_locks` and cancels the waiting request. */
  readonly main: Client
  /** Opens the connection that waits for the lock. */
  readonly connect: () => Promise<Client>
  /** Timeout of a request. By default several seconds, or less if Postgres logs lock waits. */
  readonly waitMs?: number | undefined
}

/** A stopped process leaves the queue after this time. A waiting request also holds back vacuum. */
const WAIT_MS = 4_500
/** Fraction of `deadlock_timeout`, after which `log_lock_waits` logs a wait. */
const BEFORE_LOGGED = 0.8
const RETRY_CONNECT_MS = 5_000
/** Well within `idle_session_timeout`. */
const PING_EVERY_MS = 1_900
const ANSWER_MS = 2_000
/** How often `pg_locks` is read until it shows a request that was sent. */
const MAX_READINGS = 10
const READ_INTERVAL_MS = 2

/** Each of these is one round trip. WAIT catches its timeout, so that the server logs no error. */
const TAKE = `select case
    when pg_try_advisory_lock(${LOCK_CLASS}, ${LOCK.sleep}) then 'taken'
    when exists (select from pg_locks where ${isSleepLock()} and granted and mode = 'ExclusiveLock')
    then 'held' else 'written' end as state`
const WAIT = `do $$ begin
    perform pg_advisory_lock(${LOCK_CLASS}, ${LOCK.sleep});
    perform set_config('invalidation.sleep_lock', 'taken', false);
  exception when lock_not_available or query_canceled then
    perform set_config('invalidation.sleep_lock', '', false);
  end $$;
  select current_setting('invalidation.sleep_lock') as state`
const READ_QUEUE = `select coalesce(bool_or(pid = $1), false) as requested,
    coalesce(bool_or(granted and mode = 'ExclusiveLock'), false) as held
  from pg_locks where ${isSleepLock()}`
const SETTINGS = `select pg_backend_pid() as pid, set_config('lock_timeout', coalesce($1,
    case when current_setting('log_lock_waits') = 'on' then least(${WAIT_MS},
      extract(epoch from current_setting('deadlock_timeout')::interval) * 1000 * ${BEFORE_LOGGED})
    else ${WAIT_MS} end)::integer::text, false) as wait_ms`

function isSleepLock(): string {
  return `locktype = 'advisory' and objsubid = 2 and classid::bigint = ${LOCK_CLASS}
    and objid = ${LOCK.sleep}
    and database = (select oid from pg_database where datname = current_database())`
}

/** A connection and its request. */
interface LockConnection {
  readonly client: Client
  readonly pid: number
  readonly waitMs: number
  /** Settles when the request was granted, timed out or was cancelled. */
  waiting: Promise<void> | null
  isTaken: boolean
  pingedAtMs: number
}

/** Connects with the first `request`. */
export function createSleepLock({ main, connect, waitMs }: SleepLockDeps): SleepLock {
  let connection: LockConnection | undefined
  let isRequested = false
  let retryAtMs = 0
  let notifyLost: (() => void) | undefined

  const markLost = () => {
    if (!isRequested) return
    isRequested = false
    notifyLost?.()
  }

  /** Closes a connection, which releases its locks; a waiting request ends with its timeout. */
  function discard(one: LockConnection): void {
    if (connection !== one) return
    connection = undefined
    one.client.end().catch(() => undefined)
    markLost()
  }

  async function open(): Promise<LockConnection> {
    const client = await connect()
    const { rows } = await client
      .query<{ pid: number; wait_ms: string }>(SETTINGS, [waitMs ?? null])
      .catch(async (error: unknown) => {
        await client.end()
        throw error
      })
    const { pid, wait_ms } = rows[0] as { pid: number; wait_ms: string }
    const one: LockConnection = {
      client,
      pid,
      waitMs: Number(wait_ms),
      waiting: null,
      isTaken: false,
      pingedAtMs: performance.now(),
    }
    client.on('error', () => discard(one))
    client.on('end', () => discard(one))
    return (connection = one)
  }

  /** Waits until the lock is granted or the request times out. */
  async function wait(one: LockConnection): Promise<void> {
    try {
      const results = (await one.client.query({
        text: WAIT,
        query_timeout: one.waitMs + ANSWER_MS,
      } as QueryConfig)) as unknown as readonly QueryResult<{ state: string }>[]
      one.isTaken = results.at(-1)?.rows[0]?.state === 'taken'
      one.pingedAtMs = performance.now()
      if (!one.isTaken && connection === one) markLost()
    } catch {
      discard(one)
    } finally {
      one.waiting = null
    }
  }

  async function isQueued(one: LockConnection): Promise<boolean> {
    const isCurrent = () => connection === one
    for (let attempt = 0; attempt < MAX_READINGS && isCurrent(); attempt++) {
      const { rows } = await main.query<{ requested: boolean; held: boolean }>(READ_QUEUE, [
        one.pid,
      ])
      const { requested, held } = rows[0] as { requested: boolean; held: boolean }
      if (requested) return held && isCurrent() && (one.isTaken || one.waiting !== null)
      if (one.waiting === null) return false
      await sleep(READ_INTERVAL_MS)
    }
    return false
  }

  async function requestOn(one: LockConnection): Promise<boolean> {
    const { rows } = await one.client.query<{ state: string }>(TAKE)
    one.pingedAtMs = performance.now()
    one.isTaken = rows[0]?.state === 'taken'
    if (one.isTaken) return connection === one
    // A request that waits for a writer would make other writers notify although no replica is idle.
    if (rows[0]?.state !== 'held') return false
    one.waiting = wait(one)
    return isQueued(one)
  }

  async function release(): Promise<void> {
    isRequested = false
    const one = connection
    if (!one) return
    try {
      if (one.waiting) {
        await main.query('select pg_cancel_backend($1)', [one.pid])
        await one.waiting
      } else if (!one.isTaken) return
      // Always, since a request that was cancelled just after it was granted holds the lock but reports
      // a cancellation.
      await one.client.query('select pg_advisory_unlock_all()')
      one.isTaken = false
    } catch {
      discard(one)
    }
  }

  return {
    async request() {
      if (isRequested) return true
      try {
        if (!connection && performance.now() < retryAtMs) return false
        const one = connection ?? (await open())
        isRequested = await requestOn(one)
      } catch {
        if (connection) discard(connection)
        retryAtMs = performance.now() + RETRY_CONNECT_MS
      }
      if (!isRequested) await release()
      return isRequested
    },
    release,
    isRequested: () => isRequested,
    onLost(listener) {
      notifyLost = listener
    },
    async ping() {
      const one = connection
      if (!one || one.waiting || performance.now() - one.pingedAtMs < PING_EVERY_MS) return
      one.pingedAtMs = performance.now()
      const ping = { text: 'select 1', query_timeout: ANSWER_MS } as QueryConfig
      await one.client.query(ping).catch(() => discard(one))
    },
    async [Symbol.asyncDispose]() {
      await release()
      const one = connection
      connection = undefined
      await one?.client.end().catch(() => undefined)
    },
  }
}
