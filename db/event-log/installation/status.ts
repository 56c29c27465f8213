import type { Client } from 'pg'
import { inTransaction } from '../connection/connection.ts'
import { scanTables } from './drift.ts'
import type { Problem } from './problem.ts'
import { readRules } from './rules.ts'
import { AFTER_SNAPSHOT, snapshotValues } from '../reading/backlog.ts'
import type { Snapshot } from '../reading/snapshot.ts'
import { columnProblems } from './watchable.ts'

/** The state of the event log, for operators. */
export interface LogStatus {
  /** The version that the triggers write; `null` if the event log is not installed. */
  readonly version: number | null
  readonly tables: number
  /** Reasons for which changes of some tables may go unlogged or reads be filtered. */
  readonly damaged: readonly Problem[]
  readonly events: number
  readonly bytes: number
  readonly segments: readonly { readonly segment: number; readonly events: number }[]
  /** The current snapshot, with which watermarks are compared. */
  readonly snapshot: string
  readonly cursors: readonly {
    readonly redis: string
    readonly resource: string
    readonly ageS: number
  }[]
  /** Sessions that hold advisory locks (sleep lock, ownership of resources). */
  readonly sessions: readonly { readonly application: string; readonly locks: number }[]
}

export interface StatusOptions {
  /** `application_name` in `pg_stat_activity`. */
  readonly applicationName?: string
  /** Only sessions whose `application_name` begins with this text are listed; by default all. */
  readonly sessionPrefix?: string
}

/** Reads the state of the event log. Safe at any time. */
export const readStatus = (url: string, options: StatusOptions = {}): Promise<LogStatus> =>
  withClient(url, options, (client) => read(client, options.sessionPrefix ?? ''))

/** The events after a watermark: their number, and the age of the oldest in milliseconds. */
export interface Backlog {
  readonly events: number
  readonly oldestMs: number
}

/** Returns the number and age of the events that were committed after a snapshot. */
export const readBacklog = (
  url: string,
  since: Snapshot,
  options: StatusOptions = {},
): Promise<Backlog> =>
  withClient(url, options, async (client) => {
    const { rows } = await client.query<{ events: string; oldest_ms: string }>(
      `select count(*) as events,
              coalesce(extract(epoch from clock_timestamp() - min(at)) * 1000, 0) as oldest_ms
       from invalidation.event
       where ${AFTER_SNAPSHOT}`,
      snapshotValues(since),
    )
    return { events: Number(rows[0]?.events), oldestMs: Number(rows[0]?.oldest_ms) }
  })

const withClient = <T>(
  url: string,
  { applicationName = 'event-log-status' }: StatusOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> => inTransaction(url, { applicationName }, work)

async function read(client: Client, sessionPrefix: string): Promise<LogStatus> {
  const head = await client.query<{ snapshot: string; installed: boolean }>(
    `select pg_current_snapshot()::text as snapshot,
            to_regclass('invalidation.retention_floor') is not null as installed`,
  )
  const { snapshot, installed } = head.rows[0] as { snapshot: string; installed: boolean }
  const nothing = { version: null, tables: 0, damaged: [], events: 0, bytes: 0, segments: [] }
  if (!installed) return { ...nothing, snapshot, cursors: [], sessions: [] }

  const { newest } = await readRules(client)
  const states = await scanTables(client, newest?.tables ?? [])
  const damaged = (newest?.tables ?? []).flatMap((table) => {
    const { name } = table
    const { isIntact, problems = [], found } = states.get(name) ?? {}
    const text = `the triggers on ${name} are missing, disabled or changed`
    const triggers: readonly Problem[] = isIntact ? [] : [{ table: name, cause: 'triggers', text }]
    return [...triggers, ...problems, ...columnProblems(found, table)]
  })

  const segments = await client.query<{ segment: number; events: string }>(
    'select segment, count(*) as events from invalidation.event group by segment order by segment',
  )
  const size = await client.query<{ bytes: string }>(
    `select sum(pg_total_relation_size(inhrelid)) as bytes from pg_inherits
     where inhparent = 'invalidation.event'::regclass`,
  )
  const cursors = await client.query<{ redis: string; resource: string; age_s: string }>(
    `select redis, resource, extract(epoch from clock_timestamp() - recorded_at) as age_s
     from invalidation.cursor order by redis, resource`,
  )
  return {
    version: newest?.version ?? null,
    tables: newest?.tables.length ?? 0,
    damaged,
    events: segments.rows.reduce((sum, row) => sum + Number(row.events), 0),
    bytes: Number(size.rows[0]?.bytes ?? 0),
    segments: segments.rows.map(({ segment, events }) => ({ segment, events: Number(events) })),
    snapshot,
    cursors: cursors.rows.map(({ redis, resource, age_s }) => ({
      redis,
      resource,
      ageS: Math.round(Number(age_s)),
    })),
    sessions: await findSessions(client, sessionPrefix),
  }
}

/** Returns the sessions that hold advisory locks: those of invalidators. */
export async function findSessions(
  client: Client,
  sessionPrefix: string,
): Promise<LogStatus['sessions']> {
  const { rows } = await client.query<{ application: string; locks: string }>(
    `select a.application_name as application, count(*) as locks
     from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and starts_with(a.application_name, $1)
       and l.database = (select oid from pg_database where datname = current_database())
     group by a.application_name, l.pid order by 1`,
    [sessionPrefix],
  )
  return rows.map(({ application, locks }) => ({ application, locks: Number(locks) }))
}
