import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { SESSION_REVOCATION } from '../session-revocation.ts'

/** The session revocations of a user. */
export interface SessionRevocations {
  /** Changes with each revocation of all sessions; empty before the first. */
  readonly epoch: string
  /** Ids of sessions that were revoked individually, in order. */
  readonly sessionIds: readonly string[]
}

const NOTHING_REVOKED: SessionRevocations = { epoch: '', sessionIds: [] }

/** Returns the revocations of a user; none if the event log is not installed. */
export async function findSessionRevocations(
  db: Kysely<Database>,
  userId: string,
): Promise<SessionRevocations> {
  if (!(await canRevokeSessions(db))) return NOTHING_REVOKED
  const { rows } = await sql<SessionRevocations>`
    select coalesce(max(id) filter (where session_id is null)::text, '') as epoch,
           coalesce(array_agg(session_id order by id) filter (where session_id is not null), '{}')
             as "sessionIds"
    from ${sql.table(SESSION_REVOCATION)}
    where user_id = ${userId}`.execute(db)
  return rows[0] ?? NOTHING_REVOKED
}

/** Whether the database has the table of revocations. */
export async function canRevokeSessions(db: Kysely<Database>): Promise<boolean> {
  const { rows } = await sql<{ there: boolean }>`
    select to_regclass(${SESSION_REVOCATION}) is not null as there`.execute(db)
  return rows[0]?.there ?? false
}
