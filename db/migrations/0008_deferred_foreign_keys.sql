-- Foreign keys are deferred, as in the existing SPMS, so a transaction may write rows in any order.

do $$
declare
  foreign_key record;
begin
  for foreign_key in
    select conrelid::regclass as table_name, conname
    from pg_constraint
    where contype = 'f' and connamespace = current_schema()::regnamespace
  loop
    execute format(
      'alter table %s alter constraint %I deferrable initially deferred',
      foreign_key.table_name, foreign_key.conname
    );
  end loop;
end
$$;
