import type pg from 'pg'
import { ConfigurationError } from '../errors.ts'
import { MAX_WATCHED_COLUMNS, type WatchedTable } from './definition.ts'
import { identifier } from './quote.ts'

/** A table that can be watched as the rules ask, with what only the catalog knows of it. */
export interface WatchableTable extends WatchedTable {
  readonly primaryKey: readonly string[]
}

/**
 * Column types whose text form depends on no setting of the session that writes, and of which two
 * values with the same text are the same. Their collation does not matter, not even one that is
 * nondeterministic: triggers compare images and texts by their bytes. Only built-in types: citext,
 * char(n), whose blanks mean nothing, and domains are none of these.
 */
const KEY_TYPES = new Set([
  'int2',
  'int4',
  'int8',
  'uuid',
  'text',
  'varchar',
  'bool',
  '_int4',
  '_int8',
])

/**
 * Checks that a table can be watched as the rules ask.
 * @throws ConfigurationError that says what stands in the way.
 */
export async function inspectTable(
  client: pg.ClientBase,
  table: WatchedTable,
): Promise<WatchableTable> {
  const { rows } = await client.query<{
    ordinary: boolean
    column: string
    type: string
    virtual: boolean
    key_position: number | null
  }>(
    // Statement triggers fire for the table that a statement names, not for its parents or children.
    `select c.relkind = 'r' and not exists (
              select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)) as ordinary,
            a.attname as column, concat(
              case when t.typnamespace <> 'pg_catalog'::regnamespace then t.typnamespace::regnamespace || '.' end,
              t.typname) as type, a.attgenerated = 'v' as virtual,
            array_position(i.indkey::int2[], a.attnum) as key_position
     from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     left join pg_index i on i.indrelid = c.oid and i.indisprimary
     where c.oid = to_regclass($1)`,
    [identifier(table.name)],
  )
  if (rows[0] === undefined) throw new ConfigurationError(`there is no table ${table.name}`)
  if (!rows[0].ordinary) {
    throw new ConfigurationError(
      `${table.name} is not an ordinary table (a view, partitions, inheritance): not supported`,
    )
  }

  const types = new Map(rows.map(({ column, type }) => [column, type]))
  for (const column of [...table.watch, ...table.keys]) {
    if (!types.has(column)) throw new ConfigurationError(`${table.name} has no column ${column}`)
    if (rows.some((row) => row.column === column && row.virtual)) {
      throw new ConfigurationError(`${table.name}.${column} is virtual: triggers are not shown it`)
    }
  }
  for (const column of table.keys) {
    const type = types.get(column) as string
    if (!KEY_TYPES.has(type)) {
      throw new ConfigurationError(
        `${table.name}.${column} cannot be a key: ${type} has no stable text`,
      )
    }
  }
  if (table.watch.length > MAX_WATCHED_COLUMNS) {
    throw new ConfigurationError(`${table.name}: more than ${MAX_WATCHED_COLUMNS} watched columns`)
  }
  const primaryKey = rows
    .filter(({ key_position }) => key_position !== null)
    .toSorted((a, b) => (a.key_position as number) - (b.key_position as number))
    .map(({ column }) => column)
  if (primaryKey.length === 0) throw new ConfigurationError(`${table.name} has no primary key`)
  for (const column of table.keys) {
    if (table.watch.includes(column) || primaryKey.includes(column)) continue
    throw new ConfigurationError(
      `${table.name}.${column} leads to entries: its own change has to be watched`,
    )
  }
  const keys = table.keys.length > 0 ? table.keys : primaryKey
  return { name: table.name, watch: table.watch, keys, primaryKey }
}
