import type { TableCreation } from './event-log/definition.ts'

/**
 * Where revoked sessions are recorded. Sessions are signed tokens, so revoking one needs state that
 * outlives Redis. Nothing but the schema of the event log may be added to an existing database.
 */
export const SESSION_REVOCATION = 'invalidation.session_revocation'

/**
 * A row revokes one session. A row without a session id revokes every session that was opened before
 * the row: its id is part of what a session is checked against. Such a row is only replaced by a
 * newer one. There is no foreign key, since that would add triggers to the table of users.
 */
export const sessionRevocationTable: TableCreation = {
  sql: `create table ${SESSION_REVOCATION} (
  id         bigint generated always as identity primary key,
  user_id    bigint not null,
  session_id text,
  expires_at timestamptz,
  check ((session_id is null) = (expires_at is null))
);
create unique index on ${SESSION_REVOCATION} (user_id, session_id);
create index on ${SESSION_REVOCATION} (expires_at);`,
  primaryKey: ['id'],
}
