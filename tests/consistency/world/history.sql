-- The truth, as Postgres itself knows it: every committed state of every row, in the order in which
-- the row was locked. It is the checker's own and nothing of the program reads or watches it. A
-- transaction whose answer was lost is here, or it was not committed; and what a crash takes back
-- is taken from here with it.

create schema checker;

create table checker.history (
  seq       bigint generated always as identity primary key,
  xid       xid8   not null,
  life      uuid,            -- the incarnation that was begun when it was written, if any
  write     bigint,          -- the writer's own number; null for what the API wrote
  table_name text  not null,
  id        bigint not null,
  row_after jsonb            -- null: deleted
);

create function checker.note(of text, id bigint, row_after jsonb) returns void
language sql security definer as $$
  insert into checker.history (xid, life, write, table_name, id, row_after)
  values (pg_current_xact_id(), (select life.id from invalidation.life),
          nullif(current_setting('checker.write', true), '')::bigint, of, id, row_after)
$$;

create function checker.note_row() returns trigger language plpgsql security definer as $$
begin
  if tg_op = 'DELETE' then
    perform checker.note(tg_table_name, old.id, null);
  else
    if tg_op = 'UPDATE' and new.id <> old.id then
      perform checker.note(tg_table_name, old.id, null);
    end if;
    perform checker.note(tg_table_name, new.id, to_jsonb(new));
  end if;
  return null;
end
$$;

create function checker.note_truncate() returns trigger language plpgsql security definer as $$
begin
  execute format('select checker.note(%L, id, null) from %s', tg_table_name, tg_relid::regclass);
  return null;
end
$$;

create function checker.watch(watched regclass) returns void language plpgsql as $$
begin
  execute format('create trigger checker_note after insert or update or delete on %s
                  for each row execute function checker.note_row()', watched);
  execute format('create trigger checker_truncate before truncate on %s
                  for each statement execute function checker.note_truncate()', watched);
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
