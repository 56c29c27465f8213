import { LOCK, LOCK_CLASS, SEGMENT_S, SEGMENTS } from '../reading/event.ts'
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

/*
 * Bodies qualify every function, operator and type, and use functions such as `int8eq` instead of
 * operators where they can: a writer's `search_path` may begin with a schema that has others of the same
 * name. `set search_path` on the functions would cost each statement more. Keywords such as `bigint` and
 * `row` cannot be shadowed, nor can transition tables.
 *
 * Initial values of variables are constants of their type: PL/pgSQL would prepare a cast in each transaction.
 */

/** Function body for INSERT and DELETE: every watched column counts as changed. */
function insertOrDelete(
  table: InstalledTable,
  op: 'I' | 'D',
  rows: 'new_rows' | 'old_rows',
): string {
  return `
declare
  op      pg_catalog."char" := '${op}'::pg_catalog."char";
  keys    pg_catalog.json;
  chunks  pg_catalog.json[];
  segment bigint;
begin
  -- Reading the rows may fail, for example after a column was dropped. Then an X event is logged.
  begin
    select pg_catalog.json_build_array(${keyArray(table, 'r')}) into strict keys from ${rows} r;
  exception
    when no_data_found then return null;
    when too_many_rows then
      ${unlessBulk(rows)}
        begin
          select pg_catalog.array_agg(c.keys) into chunks from (
            select pg_catalog.json_agg(k.keys) as keys from (
              select ${keyArray(table, 'd')} as keys, ${CHUNK} as chunk
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
 *
 * Each execution initialises every node of its expressions, which costs more than their evaluation. So
 * the mask has few nodes for each column.
 */
function update(table: InstalledTable): string {
  const samePrimaryKey = sameImages(table.primaryKey)
  // The join on `=` can be hashed, and equal images imply equal values.
  const pairs = table.primaryKey
    .map((column) => `o.${identifier(column)} operator(pg_catalog.=) n.${identifier(column)}`)
    .join(' and ')
  const firstOfKey = identifier(table.primaryKey[0] as string)

  return `
declare
  op      pg_catalog."char" := 'U'::pg_catalog."char";
  mask    bigint;
  keys    pg_catalog.json;
  chunks  pg_catalog.json[];
  segment bigint;
begin
  -- Most updates change one row; for these, a product without a condition costs less than a join.
  begin
    select case when ${samePrimaryKey} then ${maskOf(table)} else -1 end,
           case when ${sameImages(table.keys)} then pg_catalog.json_build_array(${keyArray(table, 'n')})
           else pg_catalog.json_build_array(${keyArray(table, 'o')}, ${keyArray(table, 'n')}) end
      into strict mask, keys from old_rows o, new_rows n;
    if pg_catalog.int8eq(mask, 0) then return null; end if;
  exception
    when no_data_found then return null;
    -- datatype_mismatch: the session has a cached plan for the former type of a column.
    when too_many_rows or datatype_mismatch then
      mask := -1;
      keys := null;
      ${unlessBulk('new_rows')}
        begin
          with pair as materialized (
            select o.${firstOfKey} is not null as has_old, n.${firstOfKey} is not null as has_new,
              ${[...keyTexts(table, 'o', 'old_'), ...keyTexts(table, 'n', 'new_')].map((text) => `${text},`).join(' ')}
              case when o.${firstOfKey} is null or n.${firstOfKey} is null then -1 else
                ${maskOf(table)}
              end as mask
            from old_rows o full join new_rows n on ${pairs} and ${samePrimaryKey}
          ), changed as (
            select * from pair p where not pg_catalog.int8eq(p.mask, 0)
          ), named as (
            select ${prefixed(table, 'old_')} from changed c where c.has_old
            union
            select ${prefixed(table, 'new_')} from changed c where c.has_new
          )
          select (select pg_catalog.bit_or(c.mask) from changed c),
                 (select pg_catalog.array_agg(g.keys) from (
                    select pg_catalog.json_agg(k.keys) as keys from (
                      select ${keyArray(table, 'd')} as keys, ${CHUNK} as chunk from named d
                    ) k group by k.chunk
                  ) g)
            into mask, chunks;
          if mask is null then return null; end if;
        exception when others then op := 'X'; mask := -1;
        end;
      end if;
    when others then op := 'X'; mask := -1; keys := null;
  end;
  ${log(table, 'mask')}
end
`
}

/** Whether some columns have the same images in the old row `o` and the new row `n`. */
const sameImages = (columns: readonly string[]) =>
  `pg_catalog.record_image_eq(row(${fields('o', columns)}), row(${fields('n', columns)}))`

/** SQL for the mask of changed columns: a bit for each watched column, the first in the lowest bit. */
function maskOf({ watch }: InstalledTable): string {
  if (watch.length === 0) return '0::bigint'
  const differ = watch
    .toReversed()
    .map(
      (column) =>
        `pg_catalog.record_image_ne(row(${fields('o', [column])}), row(${fields('n', [column])}))`,
    )
  return `pg_catalog.translate(pg_catalog.concat(${differ.join(`,
                  `)}), 'ft', '01')::bit(${watch.length})::bigint`
}

const fields = (row: string, names: readonly string[]) =>
  names.map((column) => `${row}.${identifier(column)}`).join(', ')

/** The number of the chunk of a row. */
const CHUNK = `pg_catalog.int8div(pg_catalog.int8mi(pg_catalog.row_number() over (), 1), ${CHUNK_ROWS})`

/**
 * Opens a branch that logs keys. With too many rows, or in mode `coarse` (docs/dba.md), it sets `B`
 * instead.
 */
const unlessBulk = (rows: string) =>
  `perform from ${rows} offset ${CAP_ROWS} limit 1;
      if found or pg_catalog.texteq(pg_catalog.current_setting('invalidation.mode', true), 'coarse') then op := 'B';
      else`

/**
 * Inserts the events. An error of the insert is not caught: a full disk must fail the write rather
 * than lose the event. A single event is inserted into its segment directly, which avoids the cost of
 * partition routing.
 */
function log({ id, version }: InstalledTable, mask: string): string {
  const values = (segment: string, keys: string) =>
    `${segment}, pg_catalog.pg_current_xact_id(), ${version}, ${id}, op, ${mask}, ${keys}, pg_catalog.clock_timestamp()`
  const direct = (segment: number) =>
    `insert into invalidation.event_${segment} values (${values(`${segment}`, 'keys')});`
  return `segment := pg_catalog.int8mod(
    pg_catalog.int8div(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::bigint, ${SEGMENT_S}), ${SEGMENTS});
  if chunks is not null and pg_catalog.charne(op, 'X') then
    insert into invalidation.event select ${values('segment', 'chunk')} from pg_catalog.unnest(chunks) chunk;
  elsif pg_catalog.int8eq(segment, 0) then ${direct(0)}
  elsif pg_catalog.int8eq(segment, 1) then ${direct(1)}
  elsif pg_catalog.int8eq(segment, 2) then ${direct(2)}
  else ${direct(3)}
  end if;
  if not pg_catalog.pg_try_advisory_xact_lock_shared(${LOCK_CLASS}, ${LOCK.sleep}) then perform invalidation.notify(); end if;
  return null;`
}

/** Keys are text, so that a bigint keeps all its digits in JSON. */
const keyArray = (table: InstalledTable, row: string) =>
  `pg_catalog.json_build_array(${table.keys.map((column) => `${row}.${identifier(column)}::pg_catalog.text`).join(', ')})`

/** Keys for DISTINCT, compared by bytes: under a column's collation, different keys may be equal. */
const keyTexts = (table: InstalledTable, row: string, prefix = '') =>
  table.keys.map(
    (column) =>
      `${row}.${identifier(column)}::pg_catalog.text collate pg_catalog."C" as ${identifier(prefix + column)}`,
  )

const prefixed = (table: InstalledTable, prefix: string) =>
  table.keys.map((column) => `c.${identifier(prefix + column)} as ${identifier(column)}`).join(', ')

/** Returns SQL that creates or replaces a function; the inspection compares its body. */
export const createFunction = ({ name, body }: TriggerFunction): string =>
  `create or replace function ${name}() returns trigger
language plpgsql security definer as ${literal(body)};
revoke all on function ${name}() from public;`

/**
 * Returns SQL that creates or replaces a trigger. With `enable always` it also fires while
 * `session_replication_role` is `replica`; a replacement resets that.
 */
export const createTrigger = ({ name, firing, call }: Trigger, table: string): string =>
  `create or replace trigger ${name} ${firing} execute function ${call};
alter table ${identifier(table)} enable always trigger ${name};`
