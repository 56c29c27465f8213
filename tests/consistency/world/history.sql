-- Every committed state of every row, in the order of the row locks. Only the checker uses this
-- schema; the system neither reads nor watches it. A transaction is recorded here exactly if it was
-- committed, even if its answer was lost. A crash that loses a commit also loses its record.

create schema checker;

create table checker.history (
  seq       bigint generated always as identity primary key,
  xid       xid8   not null,
  incarnation uuid,          -- the incarnation at the time of the write, if any
  write     bigint,          -- number of the write; null for writes of the API
  table_name text  not null,
  id        bigint not null,
  row_after jsonb            -- null for a deletion
);

-- A copy of the view of the system, owned by the checker: faults that revoke rights of the view's owner
-- must not break the checker.
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

-- Whether a row belongs to the huge transactions. No answer shows these rows, and they are too many
-- to record.
create function checker.is_crowd(id bigint) returns boolean language sql immutable as
  $$ select id >= 1000000 $$;

-- The optional argument is the table name to record, for a table whose rows show as rows of another.
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
  'users_user', 'users_userwork', 'users_userprofile', 'contacts_usercontact',
  'users_publicstaffprofile', 'users_keywordtag',
  'users_publicstaffprofile_keyword_tags', 'users_employmententry', 'users_educationentry',
  'projects_project', 'projects_projectmember', 'projects_projectarea', 'locations_area',
  'agencies_branch', 'agencies_businessarea', 'agencies_affiliation'
]) as watched (name);

-- Gives a table the owner and the grants of another, as for a copied table.
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
