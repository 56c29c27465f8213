import type { Client, QueryConfig } from 'pg'
import { connect, connectPlain, NEEDS_A_SESSION, pinSession } from '../connection.ts'
import { sessionModeProblem } from '../session-mode.ts'
import { LOCK, LOCK_CLASS } from './event.ts'
import { createSleepLock } from './sleep-lock.ts'

/**
 * The one connection on which a worker reads windows and holds its locks. A worker that can no
 * longer read has lost its locks with the connection, so nobody has to decide that it is dead.
 */
export interface WorkerSession extends AsyncDisposable {
  readonly client: Client
  /** The backend that holds the locks: a window that another one read is not covered by them. */
  readonly backend: number
  /** Aborted when the connection is gone. */
  readonly lost: AbortSignal
  /** Takes a lock for as long as the session lives, if nobody has it. Never waits. */
  tryLock(lockClass: number, object: number): Promise<boolean>
  unlock(lockClass: number, object: number): Promise<void>
  /** Takes a lock beside others who share it. */
  tryShare(lockClass: number, object: number): Promise<boolean>
  /** The locks of some classes that any session holds. */
  readLocks(lockClasses: readonly number[]): Promise<readonly HeldLock[]>
  /**
   * Says that the loop is alive. Call it every `PING_EVERY_MS`, also between the steps of long
   * work: a session without a sign of life for five seconds loses its locks to others.
   */
  ping(): Promise<void>
  /** The right to sleep, which several may have: true when every writer rings from now on. */
  acquireSleepLock(): Promise<boolean>
  releaseSleepLock(): Promise<void>
  /** Whether that still holds. */
  holdsSleepLock(): boolean
  /** Called when it ends by itself. */
  onSleepLockLost(listener: () => void): void
  /** Whether a commit that rings waits for another: NOTIFY's lock is held until one is on disk. */
  isNotifyQueued(): Promise<boolean>
  /** False where writers do not ring: then the worker must not rely on being woken. */
  readonly writersNotify: boolean
}

/** An advisory lock that somebody holds, alone or shared. */
export interface HeldLock {
  readonly lockClass: number
  readonly object: number
  /** How many sessions hold it. */
  readonly holders: number
  /** Whether this session is one of them. */
  readonly isOwn: boolean
}

export interface WorkerSessionOptions {
  readonly url: string
  readonly applicationName: string
  /** A window or lookup that takes longer is given up and started again. */
  readonly statementTimeoutMs: number
  /** How long a request for the sleep lock stays in the queue; see there for the default. */
  readonly sleepLockWaitMs?: number | undefined
}

/** Connects. @throws when Postgres cannot be reached, is a standby, or gives us no session of our own. */
export async function openWorkerSession(options: WorkerSessionOptions): Promise<WorkerSession> {
  const { url, applicationName, statementTimeoutMs } = options
  const client = await connectPlain(url, {
    applicationName,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    queryTimeoutMs: statementTimeoutMs + 1_000,
    // Queries that do not depend on each other's answers are sent together.
    pipeline: true,
  })
  const lost = new AbortController()
  client.on('error', () => lost.abort())
  client.on('end', () => lost.abort())
  try {
    return await prepare(client, options, lost.signal)
  } catch (error) {
    await client.end()
    throw error
  }
}

const CONNECT_TIMEOUT_MS = 3_000

/** A session is served by one backend from its first query to its last. */
export class NotOneSession extends Error {
  override readonly name = 'NotOneSession'

  constructor(observed: string) {
    super(`${observed}: ${NEEDS_A_SESSION}`)
  }
}

/** How often to ping: well within `idle_session_timeout`. */
export const PING_EVERY_MS = 1_000
/** A server that does not answer a ping in this time is not there. */
const PING_TIMEOUT_MS = 2_000

const SETTINGS = {
  // The window's plan must not depend on statistics, which the ring never has.
  plan_cache_mode: 'force_generic_plan',
  tcp_keepalives_idle: '5',
  // A process that was stopped between its snapshot and its window must not go on with them after
  // the ring has turned.
  idle_in_transaction_session_timeout: '5s',
  // Nor may a process that was stopped, or hangs, keep its locks from the others.
  idle_session_timeout: '5s',
}

/** Postgres takes it on no database in particular. */
const NOTIFY_QUEUE = `select exists (
  select from pg_locks
  where locktype = 'object' and classid = 'pg_database'::regclass and objid = 0 and not granted
) as locked`

/** Whether an error says that the server did not answer at all: the connection is worth nothing. */
export const isSilence = (error: unknown): boolean =>
  error instanceof Error && error.message === 'Query read timeout'

/** The connection that waits for the sleep lock while its replica is idle. */
function connectForSleepLock({ url, applicationName }: WorkerSessionOptions): Promise<Client> {
  return connect(
    url,
    { applicationName: `${applicationName}-sleep`, connectTimeoutMs: CONNECT_TIMEOUT_MS },
    { tcp_keepalives_idle: '5', idle_session_timeout: '5s' },
  )
}

async function prepare(
  client: Client,
  options: WorkerSessionOptions,
  lost: AbortSignal,
): Promise<WorkerSession> {
  const { url, applicationName, statementTimeoutMs } = options
  const { rows } = await client.query<{ standby: boolean; notifies: boolean }>(
    `select pg_catalog.pg_is_in_recovery() as standby,
            coalesce(nullif(pg_catalog.current_setting('invalidation.notify', true), ''),
              case when pg_catalog.current_setting('max_prepared_transactions') = '0'
                   then 'on' else 'off' end)
              <> 'off' as notifies`,
  )
  if (rows[0]?.standby) {
    throw new Error('this is a standby: the event log is read on the primary')
  }
  await rejectSharedBackend(client, options)
  // A pooler in session mode may pass on a backend with the locks and prepared statements of the
  // client before.
  await client.query('discard all')
  const backend = await pinSession(client, url, applicationName, {
    ...SETTINGS,
    statement_timeout: `${statementTimeoutMs}`,
  })

  // Until the session ends, `empty-log` is refused.
  const { rows: shares } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock_shared($1, $2) as locked',
    [LOCK_CLASS, LOCK.invalidator],
  )
  if (!shares[0]?.locked) throw new Error('the event log is being emptied: no window can be read')

  // No connection outlives a crash, a restart, or an exchange of the cluster: this is where a new
  // life is found out. Entries and cursors of the one before are not to be trusted.
  await client.query('select invalidation.begin_incarnation()')

  const lockQuery = async (sql: string, values: readonly number[]) => {
    const { rows } = await client.query<{ locked: boolean }>(sql, [...values])
    return rows[0]?.locked === true
  }
  const tryLock = async (lockClass: number, object: number) => {
    const { rows } = await client.query<{ locked: boolean; backend: number }>(
      'select pg_try_advisory_lock($1, $2) as locked, pg_backend_pid() as backend',
      [lockClass, object],
    )
    if (rows[0]?.backend !== backend) throw new NotOneSession('a lock was taken by another backend')
    return rows[0].locked
  }
  const unlock = async (lockClass: number, object: number) => {
    await lockQuery('select pg_advisory_unlock($1, $2) as locked', [lockClass, object])
  }

  const sleepLock = createSleepLock({
    main: client,
    connect: () => connectForSleepLock(options),
    waitMs: options.sleepLockWaitMs,
  })
  lost.addEventListener('abort', () => void sleepLock[Symbol.asyncDispose](), { once: true })

  return {
    client,
    backend,
    lost,
    writersNotify: rows[0]?.notifies === true,
    tryLock,
    unlock,
    tryShare: (lockClass, object) =>
      lockQuery('select pg_try_advisory_lock_shared($1, $2) as locked', [lockClass, object]),
    async readLocks(lockClasses) {
      const { rows } = await client.query<HeldLock>(
        `select classid::bigint::bit(32)::integer as "lockClass",
                objid::bigint::bit(32)::integer as object,
                count(*)::integer as holders, bool_or(pid = pg_backend_pid()) as "isOwn"
         from pg_locks
         where locktype = 'advisory' and objsubid = 2 and granted
           and classid::bigint::bit(32)::integer = any ($1)
           and database = (select oid from pg_database where datname = current_database())
         group by classid, objid`,
        [lockClasses],
      )
      return rows
    },
    async ping() {
      await Promise.all([
        client.query({ text: 'select 1', query_timeout: PING_TIMEOUT_MS } as QueryConfig),
        sleepLock.ping(),
      ])
    },
    acquireSleepLock: () => sleepLock.acquire(),
    releaseSleepLock: () => sleepLock.release(),
    holdsSleepLock: () => sleepLock.isHeld(),
    onSleepLockLost: (listener) => sleepLock.onLost(listener),
    isNotifyQueued: () => lockQuery(NOTIFY_QUEUE, []),
    [Symbol.asyncDispose]: async () => {
      await sleepLock[Symbol.asyncDispose]()
      await client.end().catch(() => undefined)
    },
  }
}

/** @throws NotOneSession. Where no second connection can be had, each window is checked all the same. */
async function rejectSharedBackend(
  client: Client,
  { url, applicationName }: WorkerSessionOptions,
): Promise<void> {
  const options = {
    applicationName: `${applicationName}-check`,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    queryTimeoutMs: CONNECT_TIMEOUT_MS,
  }
  const other = await connectPlain(url, options).catch(() => null)
  if (other === null) return
  try {
    const observed = await sessionModeProblem(client, other)
    if (observed !== null) throw new NotOneSession(observed)
  } finally {
    await other.end().catch(() => undefined)
  }
}
