import type { Client } from 'pg'
import { type Finding, note, wrong } from './finding.ts'

interface Settings {
  readonly standby: boolean
  readonly notify: string
  readonly prepared: number
  readonly locks: number
  readonly idle_ms: number
  readonly idle_transaction_ms: number
  /** The values of `temp_file_limit` other than none: `10MB`, `10MB of loader`. */
  readonly temp_limits: readonly string[]
}

const DOCUMENTATION = 'docs/dba.md'
/** The pool of the API keeps an idle connection for so long. */
const IDLE_SESSION_MS = 10_000
/** What Postgres ships with. */
const LOCKS_PER_TRANSACTION = 64

/** The settings of the server that matter to the log, whatever else they are good for. */
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

/** What follows from the settings; pure, since some of them need a server of their own to be tried. */
export function settingFindings(settings: Settings): Finding[] {
  const findings: Finding[] = []
  if (settings.standby) {
    findings.push(
      wrong(
        'this server is a standby',
        'the invalidator refuses it, and what it shows lags behind',
        'give the address of the primary in DATABASE_URL',
      ),
    )
  }
  if (settings.prepared > 0 && !['', 'off'].includes(settings.notify)) {
    findings.push(
      wrong(
        `invalidation.notify is ${settings.notify}, and max_prepared_transactions ${settings.prepared}`,
        'PREPARE TRANSACTION fails for a transaction that notified',
        `alter database ... reset invalidation.notify (${DOCUMENTATION})`,
      ),
    )
  }
  if (settings.prepared === 0 && settings.notify === 'off') {
    findings.push(
      note(
        'invalidation.notify is off, though nothing here can be prepared',
        'the invalidator polls where it could sleep',
        'alter database ... reset invalidation.notify, and restart the invalidator',
      ),
    )
  }
  if (settings.locks < LOCKS_PER_TRANSACTION) {
    findings.push(
      note(
        `max_locks_per_transaction is ${settings.locks}`,
        'each writing transaction takes one lock more, and fails when the table of locks is full',
        `raise it to ${LOCKS_PER_TRANSACTION} or more`,
      ),
    )
  }
  if (settings.idle_ms > 0 && settings.idle_ms < IDLE_SESSION_MS) {
    findings.push(
      wrong(
        `idle_session_timeout is ${settings.idle_ms} ms`,
        'the API loses idle connections again and again',
        'raise it for the role of the API, or turn it off',
      ),
    )
  }
  if (settings.idle_transaction_ms === 0) {
    findings.push(
      note(
        'idle_in_transaction_session_timeout is off',
        'a transaction that somebody forgets keeps the log from being emptied',
        'set it for the roles that write',
      ),
    )
  }
  if (settings.temp_limits.length > 0) {
    findings.push(
      note(
        `temp_file_limit is ${settings.temp_limits.join(', ')}`,
        'a statement fails whose changed rows, old and new, take more than that in temporary files beside work_mem',
        'set a higher limit, or a higher work_mem, for the roles that change many rows in one statement',
      ),
    )
  }
  return findings
}
