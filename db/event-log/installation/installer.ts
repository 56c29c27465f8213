import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, DatabaseError } from 'pg'
import { connect } from '../connection/connection.ts'
import { LOCK, LOCK_CLASS } from '../reading/event.ts'
import type { WatchedTable } from './definition.ts'
import { identifier } from './quote.ts'

const LOCK_TIMEOUT_MS = 100
const PATIENCE_MS = 40_000

/** A connection that changes the installation. It holds a lock, so others wait for it. */
export interface Installer extends AsyncDisposable {
  readonly client: Client
  /**
   * Runs a few statements as one transaction. If another transaction holds a lock, it rolls back and
   * retries, so that it causes no deadlock and writers never wait behind it for long.
   * @throws InstallTimeout if `table`, or the schema `invalidation`, stays locked.
   */
  run(sql: string, table?: string): Promise<void>
}

/**
 * Thrown if other transactions kept the locks that the installer needs. Its committed steps stay, and
 * another run continues from there.
 */
export class InstallTimeout extends Error {
  override readonly name = 'InstallTimeout'
  /** lock_not_available */
  readonly code = '55P03'
}

export interface InstallerOptions {
  /** `application_name` in `pg_stat_activity`. */
  readonly applicationName?: string
  /** Longest wait for the locks of other transactions, in ms. */
  readonly patienceMs?: number
}

/** Connects, and waits until no other installer runs. */
export async function openInstaller(
  url: string,
  { applicationName = 'event-log-installer', patienceMs = PATIENCE_MS }: InstallerOptions = {},
): Promise<Installer> {
  const client = await connect(url, { applicationName })
  try {
    await client.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, LOCK.install])
  } catch (error) {
    // The statement may have taken the lock before it failed; the open session would keep it.
    await client.end()
    throw error
  }
  return {
    client,
    run: (sql, table) => transaction(client, sql, { table, patienceMs }),
    [Symbol.asyncDispose]: () => client.end(),
  }
}

/** Returns the tables that have invalidation triggers and are not in `tables`. */
export async function tablesWithStrayTriggers(
  client: Client,
  tables: readonly Pick<WatchedTable, 'name'>[],
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct t.tgrelid::regclass::text as name
     from pg_trigger t
     where t.tgname like 'zz\\_invalidation\\_%' and not t.tgisinternal
       and not (t.tgrelid = any (select to_regclass(k) from unnest($1::text[]) k))
     order by 1`,
    [tables.map(({ name }) => identifier(name))],
  )
  return rows.map(({ name }) => name)
}

/** Returns SQL that drops the invalidation triggers of a table. */
export const dropTriggersSql = (table: string) =>
  ['insert', 'update', 'delete', 'truncate']
    .map((verb) => `drop trigger if exists zz_invalidation_${verb} on ${table};`)
    .join('\n')

async function transaction(
  client: Client,
  sql: string,
  { table, patienceMs }: { readonly table: string | undefined; readonly patienceMs: number },
): Promise<void> {
  const startedAtMs = performance.now()
  for (;;) {
    try {
      await client.query(`begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}; ${sql}; commit`)
      return
    } catch (error) {
      await client.query('rollback')
      if (!isLockConflict(error)) throw error
      const triedMs = performance.now() - startedAtMs
      if (triedMs > patienceMs) {
        const holders = await findHolders(client, table)
        throw new InstallTimeout(
          `timed out after ${Math.round(triedMs / 1000)} s: ${table ?? 'the schema invalidation'} is locked by ` +
            `${holders.join(', ') || 'a series of short transactions'}; run the command again when they have ended`,
          { cause: error },
        )
      }
      await sleep(LOCK_TIMEOUT_MS * (0.5 + Math.random()))
    }
  }
}

/** Returns descriptions of sessions that lock a table or the event log; oldest transactions first. */
async function findHolders(client: Client, table: string | undefined): Promise<string[]> {
  const { rows } = await client.query<{ holder: string }>(
    `select coalesce(
              format('pid %s (%s)', l.pid,
                concat_ws(', ', a.usename, nullif(a.application_name, ''), a.state,
                  'since ' || date_trunc('second', a.xact_start))),
              'a prepared transaction') as holder
     from pg_locks l
     join pg_class c on c.oid = l.relation
     left join pg_stat_activity a using (pid)
     where l.granted and l.pid is distinct from pg_backend_pid()
       and l.database = (select oid from pg_database where datname = current_database())
       and case when $1::text is null then c.relnamespace = to_regnamespace('invalidation')
           else c.oid = to_regclass($1) end
     group by l.pid, a.usename, a.application_name, a.state, a.xact_start
     order by a.xact_start nulls first
     limit 5`,
    [table ?? null],
  )
  return rows.map(({ holder }) => holder)
}

/**
 * lock_not_available, deadlock_detected, or "tuple concurrently updated". The last occurs since GRANT
 * does not lock the table: a concurrent TRUNCATE may change the same catalog row.
 */
const isLockConflict = (error: unknown) =>
  error instanceof DatabaseError &&
  (error.code === '55P03' || error.code === '40P01' || error.routine?.startsWith('simple_heap_'))
