import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'
import type { Image } from './row-changes.ts'

/** A change of one column of a row, or its deletion if `column` is null. */
export interface Mutation {
  readonly table: string
  readonly id: string
  readonly column: string | null
  readonly type: string
  readonly value: string | null
  /** Rows to which the change may remove a reference, as keys of an image. */
  readonly cuts: readonly string[]
}

interface Column {
  readonly table: string
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  /** The table that a foreign key references; null for other columns. `targets` has its ids. */
  readonly references: string | null
  readonly targets: string[] | null
}

/** Lists the deletion of every row, and for each column the values that may affect an answer. */
export async function listMutations(db: Kysely<Database>, image: Image): Promise<Mutation[]> {
  const rows = [...image.values()]
  const columns = await readColumns(
    db,
    rows.map(({ table }) => table),
  )
  return rows.flatMap(({ table, row }) => {
    const id = String(row['id'])
    const updates = columns
      .filter((column) => column.table === table)
      .flatMap((column) => {
        const value = row[column.name]
        const others = rows
          .filter((other) => other.table === table)
          .map((other) => other.row[column.name])
        const cuts = column.references === null ? [] : [`${column.references} ${String(value)}`]
        return valuesFor(column, value, others).map((instead) => ({
          table,
          id,
          column: column.name,
          type: column.type,
          value: instead,
          cuts,
        }))
      })
    const links = new Set(updates.flatMap(({ cuts }) => cuts))
    return [{ table, id, column: null, type: '', value: null, cuts: [...links] }, ...updates]
  })
}

/**
 * Applies a mutation.
 * @throws if the database rejects it.
 */
export async function applyMutation(
  db: Kysely<Database>,
  { table, id, column, type, value }: Mutation,
): Promise<void> {
  const statement =
    column === null
      ? sql`delete from ${sql.table(table)} where id = ${id}`
      : sql`update ${sql.table(table)} set ${sql.ref(column)} = ${value}::text::${sql.raw(type)}
          where id = ${id}`
  await statement.execute(db)
}

function valuesFor(
  column: Column,
  value: unknown,
  others: readonly unknown[],
): readonly (string | null)[] {
  const values = column.targets ?? newValues(column, value, others)
  return column.nullable && value !== null ? [...values, null] : values
}

function newValues(
  { name, type, nullable }: Column,
  value: unknown,
  others: readonly unknown[],
): readonly string[] {
  if (name === 'id') return [String(Number(value) + 1000)]
  if (type === 'boolean') return [String(value !== true)]
  if (type === 'integer[]') return ['{}', '{1,2,3,4,5}']
  if (type === 'date') return ['2021-05-05']
  if (type.startsWith('timestamp')) return ['2021-05-05T05:05:05.000005Z']
  if (!type.startsWith('character') && type !== 'text') return [String(Number(value) + 1)]
  // A value of another row may have a meaning, such as a kind. So may the empty string.
  const known = others.find((other) => typeof other === 'string' && other !== value)
  return [
    `${typeof value === 'string' ? value : ''}~`,
    ...(typeof known === 'string' ? [known] : []),
    ...(nullable ? [''] : []),
  ]
}

async function readColumns(db: Kysely<Database>, tables: string[]): Promise<Column[]> {
  const { rows } = await sql<Omit<Column, 'targets'>>`
    select
      w.name as table,
      a.attname as name,
      format_type(a.atttypid, a.atttypmod) as type,
      not a.attnotnull as nullable,
      f.confrelid::regclass::text as references
    from unnest(${[...new Set(tables)]}::text[]) w (name)
    join pg_class c on c.oid = to_regclass(w.name)
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_constraint f
      on f.conrelid = c.oid and f.contype = 'f' and f.conkey = array[a.attnum]
    order by w.name, a.attnum
  `.execute(db)
  return Promise.all(
    rows.map(async (column) => ({
      ...column,
      targets: column.references === null ? null : await idsIn(db, column.references),
    })),
  )
}

async function idsIn(db: Kysely<Database>, table: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id::text as id from ${sql.table(table)}
  `.execute(db)
  return rows.map(({ id }) => id)
}
