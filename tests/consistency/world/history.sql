-- The truth, as Postgres itself knows it: every committed state of every row, in the order in which
-- the row was locked. It is the checker's own and nothing of the program reads or watches it. A
-- transaction whose answer was lost is here, or it was not committed; and what a crash takes back
-- is taken from here with it.

create schema checker;

create table checker.history (
  seq       bigint generated always as identity primary key,
  xid       xid8   not null,
  incarnation uuid,          -- the incarnation that was begun when it was written, if any
  write     bigint,          -- the writer's own number; null for what the API wrote
  table_name text  not null,
  id        bigint not null,
  row_after jsonb            -- null: deleted
);

-- The program's view, read with our own rights: whatever becomes of those of its owner, this goes on.
do $$
begin
  execute 'create view checker.current_incarnation as ' || pg_get_viewdef('invalidation.current_incarnation'::regclass);
end
$$;

create function checker.note(of text, id bigint, row_after jsonb) returns void
language sql security definer as $$
  insert into checker.history (xid, incarnation, write, table_name, id, row_after)
  values (pg_current_xact_id(), (select id from checker.current_incarnation),
          nullif(current_setting('checker.write', true), '')::bigint, of, id, row_after)
$$;

-- Rows that no answer shows: so many that history would be longer than anybody could read.
create function checker.is_crowd(id bigint) returns boolean language sql immutable as
  $$ select id >= 1000000 $$;

-- A table whose rows show as those of another is watched under the name of that one.
create function checker.note_row() returns trigger language plpgsql security definer as $$
declare
  noted text := coalesce(tg_argv[0], tg_table_name);
begin
  if checker.is_crowd(coalesce(new.id, old.id)) then return null; end if;
  if tg_op = 'DELETE' then
    perform checker.note(noted, old.id, null);
  else
    if tg_op = 'UPDATE' and new.id <> old.id then
      perform checker.note(noted, old.id, null);
    end if;
    perform checker.note(noted, new.id, to_jsonb(new));
  end if;
  return null;
end
$$;

create function checker.note_truncate() returns trigger language plpgsql security definer as $$
begin
  execute format('select checker.note(%L, id, null) from %s where not checker.is_crowd(id)',
                 coalesce(tg_argv[0], tg_table_name), tg_relid::regclass);
  return null;
end
$$;

create function checker.watch(watched regclass, shown_as text default '') returns void
language plpgsql as $$
declare
  argument text := case when shown_as = '' then '' else quote_literal(shown_as) end;
begin
  execute format('create trigger checker_note after insert or update or delete on %s
                  for each row execute function checker.note_row(%s)', watched, argument);
  execute format('create trigger checker_truncate before truncate on %s
                  for each statement execute function checker.note_truncate(%s)', watched, argument);
  execute format('alter table %s enable always trigger checker_note', watched);
  execute format('alter table %s enable always trigger checker_truncate', watched);
end
$$;

select checker.watch(name::regclass) from unnest(array[
  'users_user', 'users_userwork', 'users_userprofile', 'users_publicstaffprofile', 'users_keywordtag',
  'users_publicstaffprofile_keyword_tags', 'users_employmententry', 'users_educationentry',
  'projects_project', 'projects_projectmember', 'projects_projectarea', 'locations_area',
  'agencies_branch', 'agencies_businessarea', 'agencies_affiliation'
]) as watched (name);

-- Gives a table the owner and the grants of another, as whoever makes a copy does.
create function checker.give(to_table regclass, of_table regclass) returns void language plpgsql as $$
declare
  found record;
begin
  execute (select format('alter table %s owner to %I', to_table, relowner::regrole::text)
           from pg_class where oid = of_table);
  for found in
    select acl.privilege_type, acl.grantee::regrole::text as grantee
    from pg_class, aclexplode(relacl) acl where oid = of_table and acl.grantee <> relowner
  loop
    execute format('grant %s on %s to %I', found.privilege_type, to_table, found.grantee);
  end loop;
end
$$;
