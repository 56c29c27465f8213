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
-- other columns say whose life it is: after a restart, or in a copy of the cluster, they are wrong.
create unlogged table invalidation.incarnation (
  only_row              boolean     primary key default true check (only_row),
  id                    uuid        not null,
  system                bigint      not null,
  database              oid         not null,
  timeline              integer     not null,
  postmaster_started_at timestamptz not null
);

-- The life that is going on; no row until somebody has begun it. `origin` outlives it.
create view invalidation.life as
  select id, format('%s.%s.%s', system, database, timeline) as origin
  from invalidation.incarnation
  where postmaster_started_at = pg_postmaster_start_time();

-- How far each resource has been applied to each Redis; what the ring must keep follows from it.
create table invalidation.cursor (
  redis    text        not null,
  resource text        not null,
  snapshot pg_snapshot not null,
  noted_at timestamptz not null,
  primary key (redis, resource)
);

-- The lowest cursor every few minutes. A segment may go once a note of some age has seen all of it.
create table invalidation.note (
  taken_at timestamptz primary key,
  snapshot pg_snapshot not null
);

-- The newest note under which events were emptied: a cursor that does not cover it has missed some.
create table invalidation.floor (
  only_row boolean     primary key default true check (only_row),
  snapshot pg_snapshot not null
);
