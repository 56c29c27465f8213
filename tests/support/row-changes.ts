import { CompiledQuery, type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'
import {
  entryKey,
  isLookup,
  type Params,
  type ResourceRules,
  type Rule,
} from '../../shared/cache/index.ts'

type Row = Readonly<Record<string, unknown>>

/** A row before and after a change; null if it did not exist. */
export interface RowChange {
  readonly table: string
  readonly before: Row | null
  readonly after: Row | null
}

/** All rows of some tables, by table and id. */
export type Image = ReadonlyMap<string, Omit<RowChange, 'before' | 'after'> & { readonly row: Row }>

/** Reads all rows of these tables in the transaction's snapshot. */
export async function takeImage(db: Kysely<Database>, tables: Iterable<string>): Promise<Image> {
  const parts = [...tables].map(
    (table) => sql`
      select ${sql.lit(table)} as "table", id::text as id, to_jsonb(t) as row
      from ${sql.table(table)} as t`,
  )
  const { rows } = await sql<{ table: string; id: string; row: Row }>`
    ${sql.join(parts, sql` union all `)}
  `.execute(db)
  return new Map(rows.map(({ table, id, row }) => [`${table} ${id}`, { table, row }]))
}

/** Returns the image with one table read again. */
export async function retakeTable(
  db: Kysely<Database>,
  image: Image,
  table: string,
): Promise<Image> {
  const others = [...image].filter(([, row]) => row.table !== table)
  return new Map([...others, ...(await takeImage(db, [table]))])
}

/** Returns the changes between two images, cascades included. A changed id counts as another row. */
export function changesBetween(before: Image, after: Image): RowChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const [old, now] = [before.get(key), after.get(key)]
    if (old === now || JSON.stringify(old) === JSON.stringify(now)) return []
    return { table: (old ?? now)?.table ?? '', before: old?.row ?? null, after: now?.row ?? null }
  })
}

/** Returns the columns that differ; all columns of an inserted or deleted row. */
export const columnsChanged = ({ before, after }: RowChange): string[] =>
  Object.keys(before ?? after ?? {}).filter(
    (column) => JSON.stringify(before?.[column]) !== JSON.stringify(after?.[column]),
  )

/** Returns the inverse changes. */
export const undo = (changes: readonly RowChange[]): RowChange[] =>
  changes.map(({ table, before, after }) => ({ table, before: after, after: before }))

/**
 * Returns the keys of the entries that the rules of a resource name for these changes. This is an
 * independent implementation, without triggers and invalidator. Lookups run in the transaction.
 */
export async function entriesNamed(
  db: Kysely<Database>,
  resource: ResourceRules,
  changes: readonly RowChange[],
): Promise<Set<string>> {
  const named = await Promise.all(
    resource.staleWhen.map((rule) => {
      const values = changes.filter((change) => concerns(rule, change)).flatMap(imagesOf)
      return paramsNamed(db, rule, values)
    }),
  )
  return new Set(named.flat().map((params) => entryKey('test', resource, params)))
}

function concerns({ table, watch }: Rule, change: RowChange): boolean {
  const { before, after } = change
  if (change.table !== table) return false
  if (before === null || after === null) return true
  return columnsChanged(change).some((column) => watch.includes(column))
}

const imagesOf = ({ before, after }: RowChange): Row[] =>
  [before, after].filter((row) => row !== null)

async function paramsNamed(
  db: Kysely<Database>,
  rule: Rule,
  rows: readonly Row[],
): Promise<readonly Params[]> {
  if (!isLookup(rule)) return rows.flatMap((row) => paramsIn(row, Object.entries(rule.key)))
  const complete = rows.filter((row) => rule.from.every((column) => row[column] !== null))
  if (complete.length === 0) return []
  const parameters = rule.from.map((column) => complete.map((row) => String(row[column])))
  return (await db.executeQuery<Params>(CompiledQuery.raw(rule.query, parameters))).rows
}

function paramsIn(row: Row, key: readonly (readonly [string, string])[]): Params[] {
  if (key.some(([, column]) => row[column] === null)) return []
  return [Object.fromEntries(key.map(([param, column]) => [param, String(row[column])]))]
}
