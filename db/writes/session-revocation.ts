import { sql, type Transaction } from 'kysely'
import { canRevokeSessions } from '../queries/session-revocations.ts'
import type { Database } from '../schema.ts'
import { SESSION_REVOCATION } from '../session-revocation.ts'

/** A session to be revoked, and when it expires. */
export interface RevokedSession {
  readonly userId: string
  readonly sessionId: string
  readonly endsAt: Date
}

/** A user with more revoked sessions gets one revocation of all sessions instead. */
const MAX_SINGLE = 100
/** Maximum number of expired rows that one write deletes. */
const MAX_PRUNED = 100

/**
 * Revokes one session. Returns false if the database has no table of revocations.
 *
 * No other table refers to this one. Concurrent writes for one user cannot deadlock: each inserts one
 * row, and deletes only rows that are not locked.
 */
export async function revokeSession(
  trx: Transaction<Database>,
  { userId, sessionId, endsAt }: RevokedSession,
): Promise<boolean> {
  if (!(await canRevokeSessions(trx))) return false
  const { rows } = await sql<{ count: string }>`
    select count(*) from ${TABLE} where user_id = ${userId}`.execute(trx)
  if (Number(rows[0]?.count) > MAX_SINGLE) return revokeAllSessions(trx, userId)
  await sql`
    insert into ${TABLE} (user_id, session_id, expires_at)
    values (${userId}, ${sessionId}, ${endsAt})
    on conflict do nothing`.execute(trx)
  await sql`
    delete from ${TABLE} where id in (
      select id from ${TABLE} where expires_at < now()
      order by id limit ${MAX_PRUNED} for update skip locked)`.execute(trx)
  return true
}

/** Revokes every session of a user. Returns false if the database has no table of revocations. */
export async function revokeAllSessions(
  trx: Transaction<Database>,
  userId: string,
): Promise<boolean> {
  if (!(await canRevokeSessions(trx))) return false
  const { rows } = await sql<{ id: string }>`
    insert into ${TABLE} (user_id) values (${userId}) returning id`.execute(trx)
  await sql`
    delete from ${TABLE} where id in (
      select id from ${TABLE} where user_id = ${userId} and id < ${rows[0]?.id}
      order by id for update skip locked)`.execute(trx)
  return true
}

const TABLE = sql.table(SESSION_REVOCATION)
