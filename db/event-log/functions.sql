-- The functions that every installation shares. Replaced by an install that finds them different.

-- Wakes a sleeping invalidator. Called only when one sleeps. A transaction that notified cannot be
-- prepared, and NOTIFY fails when its queue is full: in both cases the invalidator polls instead.
create or replace function invalidation.notify() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(nullif(current_setting('invalidation.notify', true), ''),
              case when current_setting('max_prepared_transactions') = '0' then 'on' else 'off' end)
       <> 'off'
     and pg_notification_queue_usage() < 0.5 then
    perform pg_notify('invalidation', '');
  end if;
end
$$;

-- Whoever sleeps holds the bell alone. Whoever gets it here, shared and to the end of its
-- transaction, keeps everybody awake until its commit can be seen.
create or replace function invalidation.notify_if_idle() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not pg_try_advisory_xact_lock_shared(1397771603, 0) then
    perform invalidation.notify();
  end if;
end
$$;

-- Arguments: version, table id.
create or replace function invalidation.log_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into invalidation.event
  values (extract(epoch from clock_timestamp())::bigint / 300 % 4, pg_current_xact_id(),
          tg_argv[0]::integer, tg_argv[1]::integer, 'T', -1, null, clock_timestamp());
  perform invalidation.notify_if_idle();
  return null;
end
$$;

-- Forgets every entry of a resource ('staff:profile') or of a key pattern ('project:*').
create or replace function invalidation.flush(pattern text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into invalidation.event
  values (extract(epoch from clock_timestamp())::bigint / 300 % 4, pg_current_xact_id(),
          0, 0, 'F', -1, json_build_array(pattern), clock_timestamp());
  perform invalidation.notify_if_idle();
end
$$;

-- Begins a new life of this database, unless the one that is written down is still going on. Of
-- several who find that at once, one begins it and the others wait for that. Only on a primary.
create or replace function invalidation.begin_incarnation() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  observed invalidation.incarnation;
begin
  select true, gen_random_uuid(), c.system_identifier, d.oid, d.xmin,
         ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer,
         pg_postmaster_start_time()
    into strict observed
    from pg_control_system() c, pg_database d where d.datname = current_database();
  -- A life that goes on needs no right to write.
  perform from invalidation.incarnation i
    where (i.system, i.database, i.database_row, i.timeline, i.postmaster_started_at)
          is not distinct from
          (observed.system, observed.database, observed.database_row, observed.timeline, observed.postmaster_started_at);
  if found then return; end if;
  insert into invalidation.incarnation select observed.* on conflict do nothing;
  update invalidation.incarnation i
     set id = observed.id, system = observed.system, database = observed.database,
         database_row = observed.database_row, timeline = observed.timeline,
         postmaster_started_at = observed.postmaster_started_at
   where (i.system, i.database, i.database_row, i.timeline, i.postmaster_started_at)
         is distinct from
         (observed.system, observed.database, observed.database_row, observed.timeline, observed.postmaster_started_at);
end
$$;

-- Triggers run with the owner's rights, so writers need no grants; nobody else may call these. What
-- triggers call is the exception: the owner must not lose that right with a change of owners. It can be
-- called only by roles with USAGE on the schema, and does no more than a NOTIFY.
revoke all on all functions in schema invalidation from public;
grant execute on function invalidation.notify(), invalidation.notify_if_idle() to public;
