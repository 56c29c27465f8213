import type { InstalledTable } from './definition.ts'
import { identifier, literal } from './quote.ts'

/** Rows per event. A statement with more rows logs several events of this size. */
const CHUNK_ROWS = 500
/** A statement with more rows logs one `B` event without keys: a flush is cheaper. */
const CAP_ROWS = 10_000

export interface TriggerFunction {
  readonly name: string
  readonly body: string
}

export interface Trigger {
  readonly name: string
  /** The trigger definition from `after` to `statement`. */
  readonly firing: string
  /** Name and arguments of the function. */
  readonly call: string
}

export interface TableTriggers {
  readonly functions: readonly TriggerFunction[]
  readonly triggers: readonly Trigger[]
}

/** Returns the triggers that log the changes of one table, and their functions. */
export function tableTriggers(table: InstalledTable): TableTriggers {
  const name = (verb: string) => `invalidation.log_${verb}_${table.id}`
  const trigger = (verb: string, referencing: string, call = `${name(verb)}()`): Trigger => ({
    name: `zz_invalidation_${verb}`,
    firing: `after ${verb} on ${identifier(table.name)} ${referencing}for each statement`,
    call,
  })
  return {
    functions: [
      { name: name('insert'), body: insertOrDelete(table, 'I', 'new_rows') },
      { name: name('update'), body: update(table) },
      { name: name('delete'), body: insertOrDelete(table, 'D', 'old_rows') },
    ],
    triggers: [
      trigger('insert', 'referencing new table as new_rows '),
      trigger('update', 'referencing old table as old_rows new table as new_rows '),
      trigger('delete', 'referencing old table as old_rows '),
      trigger('truncate', '', `invalidation.log_truncate(${table.version}, ${table.id})`),
    ],
  }
}

/** Function body for INSERT and DELETE: every watched column counts as changed. */
function insertOrDelete(
  table: InstalledTable,
  op: 'I' | 'D',
  rows: 'new_rows' | 'old_rows',
): string {
  return `
declare
  op      "char" := '${op}';
  keys    json;
  chunks  json[];
  moment  timestamptz;
begin
  -- Reading the rows may fail, for example after a column was dropped. Then an X event is logged.
  begin
    select json_build_array(${keyArray(table, 'r')}) into strict keys from ${rows} r;
  exception
    when no_data_found then return null;
    when too_many_rows then
      ${unlessBulk(rows)}
        begin
          select array_agg(c.keys) into chunks from (
            select json_agg(k.keys) as keys from (
              select ${keyArray(table, 'd')} as keys, (row_number() over () - 1) / ${CHUNK_ROWS} as chunk
              from (select distinct ${keyTexts(table, 'r').join(', ')} from ${rows} r) d
            ) k group by k.chunk
          ) c;
        exception when others then op := 'X';
        end;
      end if;
    when others then op := 'X';
  end;
  ${log(table, '-1')}
end
`
}

/**
 * Function body for UPDATE. It compares binary images, not values: for `is distinct from` 1.0 and 1.00
 * are equal, but their JSON differs. The same applies to `=`, which also ignores case under some
 * collations. A row whose primary key changed, even only in its image, counts as deleted and inserted.
 */
function update(table: InstalledTable): string {
  const columns = [...new Set([...table.primaryKey, ...table.watch, ...table.keys])]
  const samePrimaryKey = (before: string, after: string) =>
    `record_image_eq(row(${fields(before, table.primaryKey)}), row(${fields(after, table.primaryKey)}))`
  // The join on `=` can be hashed, and equal images imply equal values.
  const pairs = table.primaryKey
    .map((column) => `o.${identifier(column)} = n.${identifier(column)}`)
    .join(' and ')
  const firstOfKey = identifier(table.primaryKey[0] as string)
  const mask = (before: string, after: string) =>
    table.watch
      .map((column, bit) => {
        const images = `row(${before}.${identifier(column)}), row(${after}.${identifier(column)})`
        return `case when record_image_ne(${images}) then ${bitValue(bit)}::bigint else 0 end`
      })
      .join('\n           | ') || '0'

  return `
declare
  op      "char" := 'U';
  mask    bigint := -1;
  keys    json;
  chunks  json[];
  moment  timestamptz;
  was     record;
  became  record;
begin
  -- Most updates change one row; for these, two simple reads cost less than a join.
  begin
    select ${fields('o', columns)} into strict was from old_rows o;
    select ${fields('n', columns)} into strict became from new_rows n;
    if record_image_eq(was, became) then return null; end if;
    if ${samePrimaryKey('was', 'became')} then
      mask := ${mask('was', 'became')};
      if mask = 0 then return null; end if;
    end if;
    if record_image_eq(row(${fields('was', table.keys)}), row(${fields('became', table.keys)})) then
      keys := json_build_array(${keyArray(table, 'became')});
    else
      keys := json_build_array(${keyArray(table, 'was')}, ${keyArray(table, 'became')});
    end if;
  exception
    when no_data_found then return null;
    -- datatype_mismatch: the session has a cached plan for the former type of a column.
    when too_many_rows or datatype_mismatch then
      ${unlessBulk('new_rows')}
        begin
          with pair as materialized (
            select o.${firstOfKey} is not null as has_old, n.${firstOfKey} is not null as has_new,
              ${[...keyTexts(table, 'o', 'old_'), ...keyTexts(table, 'n', 'new_')].map((text) => `${text},`).join(' ')}
              case when o.${firstOfKey} is null or n.${firstOfKey} is null then -1 else
                ${mask('o', 'n')}
              end as mask
            from old_rows o full join new_rows n on ${pairs} and ${samePrimaryKey('o', 'n')}
          ), changed as (
            select * from pair p where p.mask <> 0
          ), named as (
            select ${prefixed(table, 'old_')} from changed c where c.has_old
            union
            select ${prefixed(table, 'new_')} from changed c where c.has_new
          )
          select (select bit_or(c.mask) from changed c),
                 (select array_agg(g.keys) from (
                    select json_agg(k.keys) as keys from (
                      select ${keyArray(table, 'd')} as keys, (row_number() over () - 1) / ${CHUNK_ROWS} as chunk
                      from named d
                    ) k group by k.chunk
                  ) g)
            into mask, chunks;
          if mask is null then return null; end if;
        exception when others then op := 'X'; mask := -1;
        end;
      end if;
    when others then op := 'X'; mask := -1;
  end;
  ${log(table, 'mask')}
end
`
}

const fields = (row: string, names: readonly string[]) =>
  names.map((column) => `${row}.${identifier(column)}`).join(', ')

const bitValue = (bit: number) => String(2n ** BigInt(bit))

/** Opens a branch that logs keys. With too many rows, or in mode `coarse`, it sets `B` instead. */
const unlessBulk = (rows: string) =>
  `perform from ${rows} offset ${CAP_ROWS} limit 1;
      if found or current_setting('invalidation.mode', true) = 'coarse' then op := 'B';
      else`

/**
 * Inserts the events. An error of the insert is not caught: a full disk must fail the write rather
 * than lose the event. A single event is inserted into its segment directly, which avoids the cost of
 * partition routing.
 */
function log({ id, version }: InstalledTable, mask: string): string {
  const values = (segment: string, op: string, keys: string) =>
    `(${segment}, pg_current_xact_id(), ${version}, ${id}, ${op}, ${mask}, ${keys}, moment)`
  const direct = [0, 1, 2].map(
    (segment) =>
      `when ${segment} then insert into invalidation.event_${segment} values ${values(String(segment), 'op', 'keys')};`,
  )
  return `moment := clock_timestamp();
  if chunks is null or op = 'X' then
    case extract(epoch from moment)::bigint / 300 % 4
      ${direct.join('\n      ')}
      else insert into invalidation.event_3 values ${values('3', 'op', 'keys')};
    end case;
  else
    insert into invalidation.event
    select extract(epoch from moment)::bigint / 300 % 4, pg_current_xact_id(), ${version}, ${id},
           op, ${mask}, chunk, moment
    from unnest(chunks) chunk;
  end if;
  if not pg_try_advisory_xact_lock_shared(1397771603, 0) then perform invalidation.notify(); end if;
  return null;`
}

/** Keys are text, so that a bigint keeps all its digits in JSON. */
const keyArray = (table: InstalledTable, row: string) =>
  `json_build_array(${table.keys.map((column) => `${row}.${identifier(column)}::text`).join(', ')})`

/** Keys for DISTINCT, compared by bytes: under a column's collation, different keys may be equal. */
const keyTexts = (table: InstalledTable, row: string, prefix = '') =>
  table.keys.map(
    (column) => `${row}.${identifier(column)}::text collate "C" as ${identifier(prefix + column)}`,
  )

const prefixed = (table: InstalledTable, prefix: string) =>
  table.keys.map((column) => `c.${identifier(prefix + column)} as ${identifier(column)}`).join(', ')

/** Returns SQL that creates or replaces a function; the drift scan compares its body. */
export const createFunction = ({ name, body }: TriggerFunction): string =>
  `create or replace function ${name}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as ${literal(body)};
revoke all on function ${name}() from public;`

/**
 * Returns SQL that creates or replaces a trigger. With `enable always` it also fires while
 * `session_replication_role` is `replica`; a replacement resets that.
 */
export const createTrigger = ({ name, firing, call }: Trigger, table: string): string =>
  `create or replace trigger ${name} ${firing} execute function ${call};
alter table ${identifier(table)} enable always trigger ${name};`
