-- Makes the segments and the incarnation unlogged, and ends the incarnation when a segment is emptied by
-- hand. `install` runs it if `areSegmentsIntact` finds that one of these is missing.
do $$
declare
  found name;
begin
  for found in
    select c.relname from pg_class c
     where c.relnamespace = 'invalidation'::regnamespace and c.relpersistence = 'p'
       and c.relname in ('event_0', 'event_1', 'event_2', 'event_3', 'incarnation')
  loop
    execute format('alter table invalidation.%I set unlogged', found);
  end loop;
  for segment in 0 .. 3 loop
    execute format('create or replace trigger end_incarnation after truncate on invalidation.event_%s
                    for each statement execute function invalidation.end_incarnation()', segment);
    execute format('alter table invalidation.event_%s enable always trigger end_incarnation', segment);
  end loop;
end
$$;
