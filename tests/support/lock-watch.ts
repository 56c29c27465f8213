import { Client } from 'pg'
import { repeat } from './repeat.ts'

/** Observed lock waits of the installer and of other sessions. */
export interface LockWatch extends AsyncDisposable {
  /** Returns how often the installer has waited for a lock on a table. */
  waitedFor(table: string): number
  /** The longest time that each statement waited for the installer, in ms, by statement text. */
  readonly held: ReadonlyMap<string, number>
}

const SAMPLE_EVERY_S = 0.01

/** Polls the locks of a database every 10 ms. `pg_locks.waitstart` has the start of each wait. */
export async function watchLocks(url: string): Promise<LockWatch> {
  const client = new Client({ connectionString: url, application_name: 'spms-test-lock-watch' })
  await client.connect()
  const waits = new Map<string, Set<string>>()
  const held = new Map<string, number>()

  const watching = repeat(async () => {
    const { rows } = await client.query<{
      installer: boolean
      query: string
      table: string
      since: string
      ms: number
    }>(
      `select a.application_name = 'event-log-installer' as installer, a.query,
              l.relation::regclass::text as table, l.waitstart::text as since,
              extract(epoch from clock_timestamp() - l.waitstart)::float8 * 1000 as ms
       from pg_sleep($1)
       cross join pg_locks l
       join pg_stat_activity a using (pid)
       where not l.granted and l.waitstart is not null and a.datname = current_database()
         and (a.application_name = 'event-log-installer' or exists (
           select from pg_stat_activity i
           where i.application_name = 'event-log-installer' and i.pid = any (pg_blocking_pids(a.pid))))`,
      [SAMPLE_EVERY_S],
    )
    for (const { installer, query, table, since, ms } of rows) {
      if (installer) waits.set(table, (waits.get(table) ?? new Set()).add(since))
      else held.set(query, Math.max(held.get(query) ?? 0, ms))
    }
    // The query pauses.
  }, 0)

  return {
    waitedFor: (table) => waits.get(table)?.size ?? 0,
    held,
    async [Symbol.asyncDispose]() {
      await watching.stop()
      await client.end()
    },
  }
}
