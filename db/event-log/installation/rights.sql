-- Makes the owner of the schema the owner of every object in it, grants that owner all privileges, and
-- repeats the grants of schema.sql. `install` runs it if it finds a missing privilege or another problem
-- of the event log. A role that may not change an owner fails here; the error names the object.
do $$
declare
  owner name := (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'invalidation');
  found record;
begin
  for found in
    select format('alter %s %s owner to %I',
             case relkind when 'v' then 'view' else 'table' end, oid::regclass, owner) as statement
      from pg_class
     where relnamespace = 'invalidation'::regnamespace and relkind in ('r', 'p', 'v')
       and pg_get_userbyid(relowner) <> owner
    union all
    select format('alter function %s owner to %I', oid::regprocedure, owner)
      from pg_proc
     where pronamespace = 'invalidation'::regnamespace and pg_get_userbyid(proowner) <> owner
  loop
    execute found.statement;
  end loop;
  execute format('grant all on schema invalidation to %I', owner);
  execute format('grant all on all tables in schema invalidation to %I', owner);
  execute format('grant all on all functions in schema invalidation to %I', owner);
end
$$;
grant insert on invalidation.event, invalidation.event_0, invalidation.event_1,
  invalidation.event_2, invalidation.event_3
  to public;
grant select on invalidation.incarnation to public;
