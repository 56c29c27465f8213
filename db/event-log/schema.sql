-- Everything of ours in an SPMS database lives in this schema, beside triggers named
-- zz_invalidation_* on the watched tables. Made once, in one transaction.

create schema invalidation;

-- What one statement changed in one table. Insert-only: a queue that updates or deletes its rows
-- collapses as soon as anyone holds back vacuum. Old events leave by TRUNCATE of a whole segment.
create table invalidation.event (
  segment  smallint    not null, -- (epoch / 300) % 4: a ring of four segments of five minutes
  xid      xid8        not null, -- the top-level transaction; the only thing events are selected by
  version  integer     not null, -- the rules that say what table_id, changed and keys mean
  table_id integer     not null,
  op       "char"      not null, -- I U D, T truncate, B bulk, X trigger fault, F flush on demand
  changed  bigint      not null, -- bit n: the n-th watched column differs in some row; all ones for I, D
  keys     json,                 -- distinct old and new values of the key columns, an array per row
  at       timestamptz not null  -- for lag metrics only, never to order or select
) partition by list (segment);

-- Autovacuum has nothing to do here: there are no dead rows, and TRUNCATE resets the age.
create table invalidation.event_0 partition of invalidation.event for values in (0)
  with (autovacuum_enabled = off);
create table invalidation.event_1 partition of invalidation.event for values in (1)
  with (autovacuum_enabled = off);
create table invalidation.event_2 partition of invalidation.event for values in (2)
  with (autovacuum_enabled = off);
create table invalidation.event_3 partition of invalidation.event for values in (3)
  with (autovacuum_enabled = off);
create index event_0_xid on invalidation.event_0 (xid);
create index event_1_xid on invalidation.event_1 (xid);
create index event_2_xid on invalidation.event_2 (xid);
create index event_3_xid on invalidation.event_3 (xid);

-- Ids of watched tables. Never reused, so that an old event can always be read.
create table invalidation.watched_table (
  id   integer primary key,
  name text    not null unique
);

-- Every version of the rules that was ever installed, with the meaning of its masks and positions.
-- The triggers write the newest.
create table invalidation.rules (
  version      integer     primary key,
  definition   jsonb       not null,
  installed_at timestamptz not null default now()
);

-- What each build of the program wants watched. The triggers watch the union of those that are not
-- retired, so that two builds can run side by side.
create table invalidation.build (
  digest       text        primary key,
  wanted       jsonb       not null,
  installed_at timestamptz not null default now(),
  retired_at   timestamptz
);

-- One uninterrupted life of this database. Unlogged on purpose: a crash, a promotion or a restore
-- empties it, and whoever finds it empty knows that transaction ids may have been used twice. The
-- other columns say whose life it is: after a restart, and in a copy of the database or the cluster,
-- they are wrong. `database_row` is the xmin of the row in pg_database: a name and even an oid can be
-- given to another database, with a copy of this row in it.
create unlogged table invalidation.incarnation (
  only_row              boolean     primary key default true check (only_row),
  id                    uuid        not null,
  system                bigint      not null,
  database              oid         not null,
  database_row          xid         not null,
  timeline              integer     not null,
  postmaster_started_at timestamptz not null
);

-- The life that is going on; no row until somebody has begun it. `origin` outlives it.
--
-- It is read in every load and every window, so it compares what is cheap: the server's start and the
-- database. That these are equal implies that system and timeline are. The row was written by a
-- server with the same start, to the microsecond, and only a running primary writes it: another
-- system would be another server. A primary gets another timeline only by a restart as a standby
-- and a promotion, and recovery empties an unlogged table. begin_incarnation() compares all of them.
create view invalidation.current_incarnation as
  select i.id, format('%s.%s.%s', i.system, i.database, i.timeline) as origin
  from invalidation.incarnation i
  where i.postmaster_started_at = pg_postmaster_start_time()
    -- Not as a join: that would take longer to plan than all else of this view.
    and (select i.database = d.oid and i.database_row = d.xmin
         from pg_database d where d.datname = current_database());

-- How far each resource has been applied to each Redis; what the ring must keep follows from it.
create table invalidation.cursor (
  redis    text        not null,
  resource text        not null,
  snapshot pg_snapshot not null,
  recorded_at timestamptz not null,
  primary key (redis, resource)
);

-- The lowest cursor every few minutes. A segment may go once a note of some age has seen all of it.
create table invalidation.checkpoint (
  taken_at timestamptz primary key,
  snapshot pg_snapshot not null
);

-- The newest note under which events were emptied: a cursor that does not cover it has missed some.
create table invalidation.retention_floor (
  only_row boolean     primary key default true check (only_row),
  snapshot pg_snapshot not null
);

-- Trigger functions run with the rights of their owner, and a write fails where that lacks INSERT here.
-- A change of the tables' owner, or a REVOKE from it, must not take it away, so everybody has it. That
-- is safe: nobody reaches these tables without USAGE on the schema, which PUBLIC does not have, and
-- a role that has it could cause events by its writes anyway. An event can only make entries stale.
grant insert on invalidation.event, invalidation.event_0, invalidation.event_1,
  invalidation.event_2, invalidation.event_3
  to public;
-- The view is read with the rights of its owner. There is no secret in it.
grant select on invalidation.incarnation to public;
