-- The functions that all installed tables share. `install` replaces them if their bodies differ.

-- Wakes the idle invalidator with a NOTIFY. Called only when an invalidator is idle. NOTIFY prevents
-- PREPARE TRANSACTION and fails when its queue is full. In both cases the function does nothing, and
-- the invalidator finds the event when it polls.
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

-- An idle invalidator holds the sleep lock exclusively. A writer that gets the lock in shared mode
-- keeps it until its transaction ends, so no invalidator becomes idle before the commit is visible.
create or replace function invalidation.notify_if_idle() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not pg_try_advisory_xact_lock_shared(1397771603, 0) then
    perform invalidation.notify();
  end if;
end
$$;

-- The trigger function for TRUNCATE. Arguments: version of the rules, table id.
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

-- Flushes a resource ('staff:profile') or the entries of a key pattern ('project:*').
create or replace function invalidation.flush(pattern text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into invalidation.event
  values (extract(epoch from clock_timestamp())::bigint / 300 % 4, pg_current_xact_id(),
          0, 0, 'F', -1, json_build_array(pattern), clock_timestamp());
  perform invalidation.notify_if_idle();
end
$$;

-- Begins a new incarnation of this database unless the recorded one is still current. Of concurrent
-- callers, one begins the incarnation and the others wait for it. Works only on a primary.
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
  -- No write if the incarnation is current, so a read-only transaction may call this.
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

-- The trigger function for TRUNCATE of a segment. Ends the incarnation, so that everything is flushed.
-- Pruning and `empty-log` set `invalidation.keeps_incarnation`: they have raised the retention floor.
create or replace function invalidation.end_incarnation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('invalidation.keeps_incarnation', true) is distinct from 'on' then
    delete from invalidation.incarnation;
  end if;
  return null;
end
$$;

-- Trigger functions run with the rights of their owner, so writers need no grants. Other roles may not
-- call them. The two functions that triggers call are granted to PUBLIC, so that a change of owner
-- cannot revoke them. Only roles with USAGE on the schema can call them, and they only send a NOTIFY.
revoke all on all functions in schema invalidation from public;
grant execute on function invalidation.notify(), invalidation.notify_if_idle() to public;
