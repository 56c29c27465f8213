import type { Client } from 'pg'
import { type Finding, note, wrong } from '../../invalidator/index.ts'

interface Settings {
  readonly standby: boolean
  readonly notify: string
  readonly prepared: number
  readonly locks: number
  readonly idle_ms: number
  readonly idle_transaction_ms: number
  /** Values of `temp_file_limit` that set a limit: `10MB`, `10MB of loader`. */
  readonly temp_limits: readonly string[]
}

const DOCUMENTATION = 'docs/dba.md'
/** Time after which the API's pool closes an idle connection. */
const IDLE_SESSION_MS = 10_000
/** The default of Postgres. */
const LOCKS_PER_TRANSACTION = 64

/** Checks the server settings that affect the event log. */
export async function checkSettings(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<Settings>(
    `select pg_is_in_recovery() as standby,
            coalesce(current_setting('invalidation.notify', true), '') as notify,
            current_setting('max_prepared_transactions')::integer as prepared,
            current_setting('max_locks_per_transaction')::integer as locks,
            extract(epoch from current_setting('idle_session_timeout')::interval)::integer * 1000 as idle_ms,
            extract(epoch from current_setting('idle_in_transaction_session_timeout')::interval)::integer * 1000
              as idle_transaction_ms,
            array(
              select distinct value from (
                select nullif(current_setting('temp_file_limit'), '-1')
                union all
                select substr(setting, length('temp_file_limit=') + 1) || coalesce(' of ' || r.rolname, '')
                from pg_db_role_setting s cross join unnest(s.setconfig) setting
                left join pg_roles r on r.oid = s.setrole
                where setting like 'temp\\_file\\_limit=%' and setting <> 'temp_file_limit=-1'
                  and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
              ) limits (value) where value is not null order by value
            ) as temp_limits`,
  )
  return settingFindings(rows[0] as Settings)
}

/** Returns the findings that follow from the settings. Pure, because some settings need a restart of the server. */
export function settingFindings(settings: Settings): Finding[] {
  const findings: Finding[] = []
  if (settings.standby) {
    findings.push(
      wrong(
        'this server is a standby',
        'the invalidator rejects it, and its data lags behind the primary',
        'set DATABASE_URL to the address of the primary',
      ),
    )
  }
  if (settings.prepared > 0 && !['', 'off'].includes(settings.notify)) {
    findings.push(
      wrong(
        `invalidation.notify is ${settings.notify}, and max_prepared_transactions is ${settings.prepared}`,
        'PREPARE TRANSACTION fails in a transaction that has executed NOTIFY',
        `alter database ... reset invalidation.notify (${DOCUMENTATION})`,
      ),
    )
  }
  if (settings.prepared === 0 && settings.notify === 'off') {
    findings.push(
      note(
        'invalidation.notify is off, although max_prepared_transactions is 0',
        'the invalidator polls although it could sleep',
        'alter database ... reset invalidation.notify, and restart the invalidator',
      ),
    )
  }
  if (settings.locks < LOCKS_PER_TRANSACTION) {
    findings.push(
      note(
        `max_locks_per_transaction is ${settings.locks}`,
        'each writing transaction takes one more lock, and fails if the lock table is full',
        `raise it to ${LOCKS_PER_TRANSACTION} or more`,
      ),
    )
  }
  if (settings.idle_ms > 0 && settings.idle_ms < IDLE_SESSION_MS) {
    findings.push(
      wrong(
        `idle_session_timeout is ${settings.idle_ms} ms`,
        'Postgres closes idle connections of the API before its pool does',
        'raise it for the role of the API, or turn it off',
      ),
    )
  }
  if (settings.idle_transaction_ms === 0) {
    findings.push(
      note(
        'idle_in_transaction_session_timeout is off',
        'a transaction that is left open prevents the pruning of the event log',
        'set it for the roles that write',
      ),
    )
  }
  if (settings.temp_limits.length > 0) {
    findings.push(
      note(
        `temp_file_limit is ${settings.temp_limits.join(', ')}`,
        'a statement fails if its changed rows, old and new, need more temporary files than that beyond work_mem',
        'set a higher limit, or a higher work_mem, for the roles that change many rows in one statement',
      ),
    )
  }
  return findings
}
