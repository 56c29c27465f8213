-- The event log. It adds only this schema to a database, and triggers named zz_invalidation_* on the
-- watched tables. `install` runs this file once, in one transaction.

create schema invalidation;

-- The changes of one statement in one table. The log is insert-only: a queue that updates or deletes
-- rows degrades as soon as a long transaction holds back vacuum. TRUNCATE removes old events, a whole
-- segment at a time.
--
-- The segments are unlogged, so events write no WAL. Invariant: the current incarnation ends whenever
-- events vanish that a cursor may need. Recovery, after a crash as well as in a standby or a base backup,
-- empties invalidation.incarnation together with the segments. Pruning and `empty-log`
-- raise the retention floor. Any other TRUNCATE of a segment deletes the incarnation (segments.sql).
create table invalidation.event (
  segment  smallint    not null, -- (epoch / 300) % 4: a ring of four segments of five minutes
  xid      xid8        not null, -- top-level transaction; the only column that selects events
  version  integer     not null, -- version of the rules that define table_id, changed and keys
  table_id integer     not null,
  op       "char"      not null, -- I U D, T truncate, B bulk, X trigger fault, F flush on demand
  changed  bigint      not null, -- bit n: the n-th watched column differs in a row; all ones for I, D
  keys     json,                 -- distinct old and new values of the key columns, one array per row
  at       timestamptz not null  -- for lag metrics only, never to order or select events
) partition by list (segment);

-- Autovacuum is not needed: there are no dead rows, and TRUNCATE resets relfrozenxid.
create unlogged table invalidation.event_0 partition of invalidation.event for values in (0)
  with (autovacuum_enabled = off);
create unlogged table invalidation.event_1 partition of invalidation.event for values in (1)
  with (autovacuum_enabled = off);
create unlogged table invalidation.event_2 partition of invalidation.event for values in (2)
  with (autovacuum_enabled = off);
create unlogged table invalidation.event_3 partition of invalidation.event for values in (3)
  with (autovacuum_enabled = off);
create index event_0_xid on invalidation.event_0 (xid);
create index event_1_xid on invalidation.event_1 (xid);
create index event_2_xid on invalidation.event_2 (xid);
create index event_3_xid on invalidation.event_3 (xid);

-- Ids of watched tables. An id is never reused, so that old events stay readable.
create table invalidation.watched_table (
  id   integer primary key,
  name text    not null unique
);

-- Every installed version of the rules: defines the bits of `changed` and the positions in `keys`.
-- The triggers write the newest version.
create table invalidation.rules (
  version      integer     primary key,
  definition   jsonb       not null,
  installed_at timestamptz not null default now()
);

-- The tables and columns that each build of the program watches. The triggers watch the union of all
-- builds that are not retired, so that two builds can run side by side.
create table invalidation.build (
  digest       text        primary key,
  wanted       jsonb       not null,
  installed_at timestamptz not null default now(),
  retired_at   timestamptz
);

-- The current incarnation of this database. The table is unlogged, since a crash, a promotion or a
-- restore must empty it: after one of these, events are lost and transaction ids may be reused. Postgres
-- resets the unlogged tables of a cluster together. It does so also after the crash of one backend, which
-- does not change the start time of the server. The other columns identify the server and the database. They do
-- not match after a restart, or in a copy of the database or the cluster. `database_row` is the xmin of
-- the row in pg_database: another database with a copy of this row can get the same name and even the
-- same oid.
create unlogged table invalidation.incarnation (
  only_row              boolean     primary key default true check (only_row),
  id                    uuid        not null,
  system                bigint      not null,
  database              oid         not null,
  database_row          xid         not null,
  timeline              integer     not null,
  postmaster_started_at timestamptz not null
);

-- The current incarnation; empty until begin_incarnation() has begun it. A restart does not change
-- `origin`.
--
-- Every load and every window reads this view, so it compares only what is cheap: the start time of the
-- server and the database. If these are equal, system and timeline are equal too. A server with the
-- same start time, to the microsecond, wrote the row, and only a running primary writes it. A primary
-- changes its timeline only by a restart as a standby and a promotion, and recovery empties unlogged
-- tables. begin_incarnation() compares all columns.
create view invalidation.current_incarnation as
  select i.id, format('%s.%s.%s', i.system, i.database, i.timeline) as origin
  from invalidation.incarnation i
  where i.postmaster_started_at = pg_postmaster_start_time()
    -- A join would take longer to plan than the rest of the view.
    and (select i.database = d.oid and i.database_row = d.xmin
         from pg_database d where d.datname = current_database());

-- The snapshot up to which the events of each resource were applied to each Redis. Pruning keeps
-- every event that a recent cursor has not passed.
create table invalidation.cursor (
  redis    text        not null,
  resource text        not null,
  snapshot pg_snapshot not null,
  recorded_at timestamptz not null,
  primary key (redis, resource)
);

-- The lowest cursor, recorded every five minutes. A segment may be emptied once a checkpoint of a
-- certain age includes all of its events.
create table invalidation.checkpoint (
  taken_at timestamptz primary key,
  snapshot pg_snapshot not null
);

-- The newest checkpoint up to which events were removed. A cursor that does not include it has missed
-- events.
create table invalidation.retention_floor (
  only_row boolean     primary key default true check (only_row),
  snapshot pg_snapshot not null
);

-- Trigger functions run with the rights of their owner, and a write fails if that role lacks INSERT
-- here. PUBLIC has INSERT, so that neither a change of the tables' owner nor a REVOKE from it breaks
-- writes. This is safe: access requires USAGE on the schema, which PUBLIC does not have. A role with
-- USAGE could cause events by its writes anyway, and an event can only make entries stale.
grant insert on invalidation.event, invalidation.event_0, invalidation.event_1,
  invalidation.event_2, invalidation.event_3
  to public;
-- The view runs with the rights of its owner. The table holds no secret.
grant select on invalidation.incarnation to public;
