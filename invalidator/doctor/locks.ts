import { type Client, LOCK_CLASS } from '../../db/event-log/index.ts'
import type { ExaminedApplication } from './application.ts'
import { type Finding, note, wrong } from './finding.ts'

/** Age in seconds from which a writing transaction is reported. It keeps the invalidator from sleeping. */
const LONG_S = 60

interface Holder {
  readonly pid: number
  readonly role: string
  readonly application: string
  readonly alone: boolean
  readonly age_s: number
}

/** Finds other programs that hold advisory locks of the event log, except short writing transactions. */
export async function checkLocks(
  client: Client,
  { sessionPrefix }: Pick<ExaminedApplication, 'sessionPrefix'>,
  longS = LONG_S,
): Promise<Finding[]> {
  const { rows } = await client.query<Holder>(
    `select a.pid, a.usename as role, a.application_name as application,
            bool_or(l.mode = 'ExclusiveLock') as alone,
            coalesce(extract(epoch from clock_timestamp() - min(a.xact_start)), 0)::integer as age_s
     from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and l.objsubid = 2
       and l.classid::bigint = $1
       and l.database = (select oid from pg_database where datname = current_database())
       and not starts_with(a.application_name, $2)
     group by a.pid, a.usename, a.application_name
     order by a.pid`,
    [LOCK_CLASS, sessionPrefix],
  )
  return rows.flatMap(({ pid, role, application, alone, age_s }) => {
    const who = `${role} (${application || 'no application name'}, pid ${pid})`
    if (alone) {
      return wrong(
        `${who} holds an advisory lock of the class ${LOCK_CLASS}, which the event log uses`,
        'depending on the lock, every writer notifies or no invalidator can work',
        'use another lock class in that program; select pg_terminate_backend(pid) releases the lock at once',
      )
    }
    if (age_s < longS) return []
    return note(
      `${who} has been writing in one transaction for ${age_s} s`,
      'until it ends, the invalidator polls and the event log keeps its segment',
      'nothing, if this is a planned bulk load',
    )
  })
}
