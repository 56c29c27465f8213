import type { Client, QueryConfig } from 'pg'
import { connect, connectPlain, NEEDS_A_SESSION, pinSession } from '../connection/connection.ts'
import { sessionModeProblem } from '../connection/session-mode.ts'
import { LOCK, LOCK_CLASS } from './event.ts'
import { createSleepLock } from './sleep-lock.ts'

/**
 * The connection on which a worker reads windows and holds its locks. A worker that loses the
 * connection also loses its locks, so no failure detection between workers is needed.
 */
export interface WorkerSession extends AsyncDisposable {
  readonly client: Client
  /** Process id of the backend that holds the locks; a window from another backend is not protected. */
  readonly backend: number
  /** Aborted when the connection is lost. */
  readonly lost: AbortSignal
  /** Takes a session lock if it is free, without waiting. Returns whether it was granted. */
  tryLock(lockClass: number, object: number): Promise<boolean>
  unlock(lockClass: number, object: number): Promise<void>
  /** Takes a session lock in shared mode, without waiting. Returns whether it was granted. */
  tryShare(lockClass: number, object: number): Promise<boolean>
  /** Returns the locks of some classes that any session holds. */
  readLocks(lockClasses: readonly number[]): Promise<readonly HeldLock[]>
  /**
   * Sends a query that keeps the session alive. Call it every `PING_EVERY_MS`, also between the steps
   * of long work: the server ends a session that is idle for five seconds, and releases its locks.
   */
  ping(): Promise<void>
  /** Requests the sleep lock. Returns true if every writer notifies from now on. */
  requestSleepLock(): Promise<boolean>
  releaseSleepLock(): Promise<void>
  /** Whether every writer has notified since `requestSleepLock` returned true. */
  hasSleepLockRequest(): boolean
  /** Registers a listener for the loss of the sleep lock. */
  onSleepLockLost(listener: () => void): void
  /** Whether a commit with a NOTIFY waits for another: Postgres serializes them with a lock. */
  isNotifyQueued(): Promise<boolean>
  /** False if writers never notify: then the worker must not rely on wake-ups. */
  readonly writersNotify: boolean
}

/** An advisory lock that at least one session holds, exclusively or shared. */
export interface HeldLock {
  readonly lockClass: number
  readonly object: number
  /** Number of sessions that hold it. */
  readonly holders: number
  /** Whether this session is one of them. */
  readonly isOwn: boolean
}

export interface WorkerSessionOptions {
  readonly url: string
  readonly applicationName: string
  /** Time limit of statements that set none of their own. Windows and lookups set shorter ones. */
  readonly statementTimeoutMs: number
  /** How long a request for the sleep lock stays in the queue; see `SleepLockDeps` for the default. */
  readonly sleepLockWaitMs?: number | undefined
}

/**
 * Opens a worker session.
 * @throws if Postgres is unreachable or a standby, or a pooler provides no session.
 */
export async function openWorkerSession(options: WorkerSessionOptions): Promise<WorkerSession> {
  const { url, applicationName, statementTimeoutMs } = options
  const client = await connectPlain(url, {
    applicationName,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    queryTimeoutMs: statementTimeoutMs + 1_000,
    // Sends independent queries together.
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

/** Thrown if a pooler does not give this client a backend of its own. */
export class NotOneSession extends Error {
  override readonly name = 'NotOneSession'

  constructor(observed: string) {
    super(`${observed}: ${NEEDS_A_SESSION}`)
  }
}

/** How often to ping: well within `idle_session_timeout`. */
export const PING_EVERY_MS = 1_000
/** A server that does not answer a ping in this time counts as lost. */
const PING_TIMEOUT_MS = 2_000

const SETTINGS = {
  // The plan of a window must not depend on statistics, since truncated segments have none.
  plan_cache_mode: 'force_generic_plan',
  tcp_keepalives_idle: '5',
  // A process that was stopped between its snapshot and its window must not continue with them after
  // segments were emptied.
  idle_in_transaction_session_timeout: '5s',
  // A process that is stopped or hangs must lose its locks.
  idle_session_timeout: '5s',
}

/** Postgres takes the lock of NOTIFY on database 0, which stands for the whole cluster. */
const NOTIFY_QUEUE = `select exists (
  select from pg_locks
  where locktype = 'object' and classid = 'pg_database'::regclass and objid = 0 and not granted
) as locked`

/** Whether an error is a client-side timeout, after which the connection is unusable. */
export const isSilence = (error: unknown): boolean =>
  error instanceof Error && error.message === 'Query read timeout'

/** Opens the connection that waits for the sleep lock while its replica is idle. */
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
  // A pooler in session mode may reuse a backend with the locks and prepared statements of an earlier
  // client.
  await client.query('discard all')
  const backend = await pinSession(client, url, applicationName, {
    ...SETTINGS,
    statement_timeout: `${statementTimeoutMs}`,
  })

  // While the session holds this lock, `empty-log` fails.
  const { rows: shares } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock_shared($1, $2) as locked',
    [LOCK_CLASS, LOCK.invalidator],
  )
  if (!shares[0]?.locked) throw new Error('the event log is being emptied: no window can be read')

  // No connection survives a crash, a restart or a replacement of the cluster, so a new incarnation is
  // detected here. Entries and cursors of the previous incarnation must not be trusted.
  await client.query('select invalidation.begin_incarnation()')

  const lockQuery = async (sql: string, values: readonly number[]) => {
    const { rows } = await client.query<{ locked: boolean }>(sql, [...values])
    const locked = rows[0]?.locked
    // Without this check, a query that returns another column would always mean "no".
    if (typeof locked !== 'boolean') throw new Error('a query about locks returned no answer')
    return locked
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
    requestSleepLock: () => sleepLock.request(),
    releaseSleepLock: () => sleepLock.release(),
    hasSleepLockRequest: () => sleepLock.isRequested(),
    onSleepLockLost: (listener) => sleepLock.onLost(listener),
    isNotifyQueued: () => lockQuery(NOTIFY_QUEUE, []),
    [Symbol.asyncDispose]: async () => {
      await sleepLock[Symbol.asyncDispose]()
      await client.end().catch(() => undefined)
    },
  }
}

/**
 * Checks the session with a second connection. Skips the check if that connection fails, since each
 * window also checks its backend.
 * @throws NotOneSession if the connection is not a session.
 */
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
