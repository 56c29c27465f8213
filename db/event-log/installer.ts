import { setTimeout as sleep } from 'node:timers/promises'
import { Client, DatabaseError } from 'pg'
import { LOCK, LOCK_CLASS } from './event.ts'
import type { WatchedTable } from './definition.ts'
import { identifier } from './quote.ts'

const LOCK_TIMEOUT_MS = 100
const LOCK_ATTEMPTS = 200

/** A connection that changes the installation. Only one does so at a time; others wait for it. */
export interface Installer extends AsyncDisposable {
  readonly client: Client
  /**
   * Runs a few statements as one transaction: it gives way to whoever holds a lock, then tries
   * again, so that it never deadlocks with a live system nor makes writers queue behind it.
   */
  run(sql: string): Promise<void>
}

/** Connects, and waits for its turn. */
export async function openInstaller(url: string): Promise<Installer> {
  const client = new Client({
    connectionString: url,
    application_name: 'spms-install',
    connectionTimeoutMillis: 10_000,
  })
  await client.connect()
  await client.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, LOCK.install])
  return {
    client,
    run: (sql) => transaction(client, sql),
    [Symbol.asyncDispose]: () => client.end(),
  }
}

/** Tables that carry triggers of ours and are not among those given. */
export async function strayTables(
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

/** Takes the triggers of ours off a table. */
export const dropTriggersSql = (table: string) =>
  ['insert', 'update', 'delete', 'truncate']
    .map((verb) => `drop trigger if exists zz_invalidation_${verb} on ${table};`)
    .join('\n')

/** Runs a few statements as one transaction; gives way to whoever holds a lock, then tries again. */
async function transaction(client: Client, sql: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(`begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}; ${sql}; commit`)
      return
    } catch (error) {
      await client.query('rollback')
      if (!isLockTrouble(error) || attempt === LOCK_ATTEMPTS) throw error
      await sleep(LOCK_TIMEOUT_MS * (0.5 + Math.random()))
    }
  }
}

/** lock_not_available, deadlock_detected */
const isLockTrouble = (error: unknown) =>
  error instanceof DatabaseError && (error.code === '55P03' || error.code === '40P01')
