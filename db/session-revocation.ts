import type { TableCreation } from './event-log/index.ts'

/**
 * The table of revoked sessions. Sessions are signed tokens, so a revocation needs state that
 * outlives Redis. It is in the schema of the event log, since an existing database may get no other.
 */
export const SESSION_REVOCATION = 'invalidation.session_revocation'

/**
 * A row with a session id revokes that session. A row without one revokes all sessions of the user
 * that are older than the row: a session is compared with the row's id. Only a newer row replaces
 * such a row. It has no foreign key, which would add triggers to the table of users.
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
