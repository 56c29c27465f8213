import type pg from 'pg'
import { identifier } from './quote.ts'
import { CALLED_BY_TRIGGERS, sharedBodies } from './shared-functions.ts'

/** An invalidation trigger as the catalog describes it. */
export interface CatalogTrigger {
  readonly name: string
  /** `pg_trigger.tgenabled`: `A` always fires; with any other value the trigger may not fire. */
  readonly enabled: string
  /** `pg_trigger.tgtype`: 4 insert, 8 delete, 16 update, 32 truncate; all AFTER, FOR EACH STATEMENT. */
  readonly type: number
  /** False if a WHEN condition or a column list limits when it fires. */
  readonly unconditional: boolean
  readonly function: string
  readonly args: string
  /** SHA-256 of the function's body, in hex. */
  readonly sha256: string
  readonly isSecurityDefiner: boolean
  /** `pg_proc.proconfig`: the settings of the function, as text; `null` if it has none. */
  readonly settings: string | null
}

/** A column as the catalog describes it. */
interface CatalogColumn {
  readonly name: string
  /** `pg_type.typname`, qualified with its schema unless it is a built-in type. */
  readonly type: string
  /** A virtual generated column: triggers cannot read its value. */
  readonly virtual: boolean
}

/** One table as the catalog describes it: everything that affects whether its changes are logged. */
export interface CatalogTable {
  /** `pg_class.relkind` */
  readonly kind: string
  /** A partition, or a child by inheritance. */
  readonly isChild: boolean
  readonly hasChildren: boolean
  /** `pg_class.relhassubclass`: it has children, or had some since the last ANALYZE. */
  readonly hadChildren: boolean
  readonly rowSecurity: boolean
  /** Whether a logical replication subscription writes to it. */
  readonly subscribed: boolean
  readonly columns: readonly CatalogColumn[]
  readonly primaryKey: readonly string[]
  readonly triggers: readonly CatalogTrigger[]
  /** Differs after any change of the fields above, even one that was undone. */
  readonly fingerprint: string
}

/**
 * Reads the catalog entries of some tables, for `install` and inspections. Skips tables that do not
 * exist. A table whose fingerprint is the same as in `known` is not read again: most of the time goes
 * into reading texts, and an inspection runs every two seconds.
 *
 * The fingerprint includes the `xmin` of catalog rows, since a change that was undone between two
 * inspections leaves no other trace. VACUUM and ANALYZE do not change that `xmin`. Each such change takes
 * a lock that conflicts with writers. So if an inspection finds no damage, no uncommitted transaction has
 * unlogged changes. It also includes what keeps the invariant of schema.sql: the segments' triggers and
 * the incarnation table, which a crash would not empty while it is logged.
 */
export async function readCatalog(
  client: pg.ClientBase,
  names: readonly string[],
  known: (name: string) => CatalogTable | undefined = () => undefined,
): Promise<ReadonlyMap<string, CatalogTable>> {
  const { rows } = await client.query<CatalogRow>(
    // Values are cast to text: JSON of other types takes ten times as long. One array per column.
    {
      name: 'invalidation-catalog',
      text: `with log as materialized (
       select concat((select string_agg(concat_ws(' ', t.oid, t.xmin, p.oid, p.xmin), ',' order by t.oid)
                      from pg_inherits i join pg_trigger t on t.tgrelid = i.inhrelid join pg_proc p on p.oid = t.tgfoid
                      where i.inhparent = to_regclass('invalidation.event')), '/',
                     (select concat_ws(' ', c.oid, c.xmin) from pg_class c
                      where c.oid = to_regclass('invalidation.incarnation'))) as state
     ), found as materialized (
       select w.name, w.known, c.oid, c.relkind as kind, c.relhassubclass as "hadChildren",
              c.relrowsecurity as "rowSecurity",
              exists (select from pg_inherits i where i.inhrelid = c.oid) as "isChild",
              exists (select from pg_inherits i where i.inhparent = c.oid) as "hasChildren",
              exists (select from pg_subscription_rel s where s.srrelid = c.oid) as subscribed,
              encode(sha256(convert_to(concat_ws('/', c.oid, c.xmin,
                (select string_agg(concat_ws(' ', t.oid, t.xmin, p.oid, p.xmin), ',' order by t.oid)
                 from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                 where t.tgrelid = c.oid and t.tgname like 'zz\\_invalidation\\_%'),
                array(select a.xmin from pg_attribute a
                      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                      order by a.attnum),
                array(select i.indexrelid from pg_index i where i.indrelid = c.oid and i.indisprimary),
                (select state from log)
              ), 'UTF8')), 'hex') as fingerprint
       from unnest($1::text[], $2::text[], $3::text[]) w (name, identifier, known)
       join pg_class c on c.oid = to_regclass(w.identifier)
     )
     select f.name, f.kind, f."hadChildren", f."rowSecurity", f."isChild", f."hasChildren",
            f.subscribed, f.fingerprint,
            case when f.fingerprint is distinct from f.known then (
              select array_agg(array[a.attname::text,
                       (select concat(case when y.typnamespace <> 'pg_catalog'::regnamespace
                                            then y.typnamespace::regnamespace || '.' end, y.typname)
                        from pg_type y where y.oid = a.atttypid),
                       a.attgenerated::text] order by a.attnum)
              from pg_attribute a
              where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped
            ) end as columns,
            case when f.fingerprint is distinct from f.known then (
              select array(
                       select (select a.attname::text from pg_attribute a
                               where a.attrelid = f.oid and a.attnum = i.indkey[position])
                       from generate_series(0, i.indnkeyatts - 1) position)
              from pg_index i where i.indrelid = f.oid and i.indisprimary
            ) end as "primaryKey",
            case when f.fingerprint is distinct from f.known then (
              select json_agg(json_build_object(
                       'name', t.tgname::text, 'enabled', t.tgenabled::text, 'type', t.tgtype,
                       'unconditional', t.tgqual is null and t.tgattr::text = '',
                       'function', n.nspname || '.' || p.proname,
                       'args', replace(encode(t.tgargs, 'escape'), '\\000', ','),
                       'sha256', encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'),
                       'isSecurityDefiner', p.prosecdef, 'settings', p.proconfig::text
                     ))
              from pg_trigger t
              join pg_proc p on p.oid = t.tgfoid
              join pg_namespace n on n.oid = p.pronamespace
              where t.tgrelid = f.oid and t.tgname like 'zz\\_invalidation\\_%'
            ) end as triggers
     from found f`,
      values: [names, names.map(identifier), names.map((name) => known(name)?.fingerprint ?? null)],
    },
  )
  return new Map(
    rows.map(({ name, columns, primaryKey, triggers, ...table }) => {
      const before = known(name)
      if (before?.fingerprint === table.fingerprint) return [name, { ...before, ...table }]
      const named = (columns ?? []).map(([column, type, generated]) => ({
        name: column,
        type,
        virtual: generated === 'v',
      }))
      return [
        name,
        { ...table, columns: named, primaryKey: primaryKey ?? [], triggers: triggers ?? [] },
      ]
    }),
  )
}

/** The last three are null if the fingerprint is known. */
interface CatalogRow extends Omit<CatalogTable, 'columns' | 'primaryKey' | 'triggers'> {
  readonly name: string
  readonly columns: readonly (readonly [name: string, type: string, generated: string])[] | null
  readonly primaryKey: readonly string[] | null
  readonly triggers: readonly CatalogTrigger[] | null
}

/**
 * Returns the problems of the event log itself, which affect every table: events that a reader might
 * not see, and privileges that the functions lack. Empty if there are none.
 */
export async function readLogProblems(client: pg.ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ problem: string }>({
    name: 'invalidation-log-problems',
    text: `with ours as materialized (
       select c.oid, c.relname, c.relpersistence, c.relrowsecurity, 'invalidation.' || c.relname as name
       from pg_class c
       where c.relnamespace = to_regnamespace('invalidation') and c.relkind in ('r', 'p')
     ), owner as materialized (
       select p.oid, pg_get_userbyid(p.oid) as name
       from (select distinct proowner as oid from pg_proc
             where pronamespace = to_regnamespace('invalidation')) p
     )
     select format('row level security is enabled on %s', o.name) as problem
       from ours o where o.relrowsecurity
     union all
     select format('%s has triggers or rules that are not ours', o.name) from ours o
       where exists (select from pg_trigger t
                     where t.tgrelid = o.oid and t.tgname not like 'zz\\_invalidation\\_%'
                       and t.tgname <> 'end_incarnation')
          or exists (select from pg_rewrite r where r.ev_class = o.oid)
     union all
     select 'invalidation.incarnation is not unlogged: a crash would not empty it' from ours o
       where o.relname = 'incarnation' and o.relpersistence <> 'u'
     union all
     select format('%s lacks its trigger for TRUNCATE, which would remove events unnoticed', o.name) from ours o
       where o.relname like 'event\\_%' and not exists (
         select from pg_trigger t join pg_proc p on p.oid = t.tgfoid
         where t.tgrelid = o.oid and t.tgname = 'end_incarnation' and t.tgenabled = 'A' and t.tgtype = 32
           and t.tgqual is null and p.pronamespace = to_regnamespace('invalidation')
           and p.proname = 'end_incarnation' and p.prosecdef and p.prosrc = $2)
     union all
     select 'the segments are not the partitions of invalidation.event'
       where 4 <> (select count(*) from ours o join pg_inherits i on i.inhrelid = o.oid
                   where i.inhparent = to_regclass('invalidation.event') and not i.inhdetachpending)
     union all
     select format('%s, the owner of a trigger function, lacks insert on %s: writes fail', w.name, o.name)
       from owner w, ours o
       where (o.relname = 'event' or o.relname like 'event\\_%') and not has_table_privilege(w.oid, o.oid, 'insert')
     union all
     select format('%s, the owner of a trigger function, lacks usage on schema invalidation: writes fail', w.name)
       from owner w
       where not has_schema_privilege(w.oid, to_regnamespace('invalidation'), 'usage')
     union all
     select format('%s, the owner of a trigger function, lacks execute on %s: writes fail', w.name, p.oid::regprocedure)
       from owner w, pg_proc p
       where p.pronamespace = to_regnamespace('invalidation') and p.proname = any ($1)
         and not has_function_privilege(w.oid, p.oid, 'execute')
     union all
     select format('%s, the owner of invalidation.current_incarnation, lacks select on invalidation.incarnation: nothing is cached', pg_get_userbyid(v.relowner))
       from pg_class v join ours o on o.relname = 'incarnation'
       where v.oid = to_regclass('invalidation.current_incarnation') and not has_table_privilege(v.relowner, o.oid, 'select')
     union all
     select format('%s, the owner of begin_incarnation(), lacks insert or update on %s: no invalidator starts after a restart of the server',
                   pg_get_userbyid(p.proowner), o.name)
       from pg_proc p join ours o on o.relname = 'incarnation'
       where p.pronamespace = to_regnamespace('invalidation') and p.proname = 'begin_incarnation'
         and not (has_table_privilege(p.proowner, o.oid, 'insert') and has_table_privilege(p.proowner, o.oid, 'update'))
     order by 1`,
    values: [CALLED_BY_TRIGGERS, sharedBodies.get('invalidation.end_incarnation')],
  })
  return rows.map(({ problem }) => problem)
}
