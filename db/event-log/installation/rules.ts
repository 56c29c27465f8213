import type pg from 'pg'
import type { InstalledTable } from './definition.ts'

/** The meaning of table ids, masks and key positions in every installed version. */
export interface InstalledRules {
  /** Returns the table of an id in a version; `null` if that version or id is unknown. */
  find(version: number, tableId: number): InstalledTable | null
  /** Returns the name of a table by its id, which is the same in all versions. */
  nameOf(tableId: number): string | null
  /** Returns every distinct definition of a table, the newest first. */
  versionsOf(table: string): readonly InstalledTable[]
  /** Ids by table name, of every table that was ever watched. */
  readonly ids: ReadonlyMap<string, number>
  readonly newest: { readonly version: number; readonly tables: readonly InstalledTable[] } | null
}

/** Reads every version of the rules. Needed only if an event has an unknown version. */
export async function readRules(client: pg.ClientBase): Promise<InstalledRules> {
  const rules = await client.query<{
    version: number
    definition: { tables: readonly InstalledTable[] }
  }>('select version, definition from invalidation.rules order by version')
  const names = await client.query<{ id: number; name: string }>(
    'select id, name from invalidation.watched_table',
  )
  const byVersion = new Map(
    rules.rows.map(({ version, definition }) => [
      version,
      new Map(definition.tables.map((table) => [table.id, table])),
    ]),
  )
  const newestFirst = rules.rows.toReversed().flatMap(({ definition }) => definition.tables)
  const nameById = new Map(names.rows.map(({ id, name }) => [id, name]))
  const last = rules.rows.at(-1)
  return {
    find: (version, tableId) => byVersion.get(version)?.get(tableId) ?? null,
    nameOf: (tableId) => nameById.get(tableId) ?? null,
    versionsOf: (table) => {
      const known = newestFirst.filter(({ name }) => name === table)
      return known.filter(({ version }, i) => version !== known[i - 1]?.version)
    },
    ids: new Map(names.rows.map(({ id, name }) => [name, id])),
    newest: last ? { version: last.version, tables: last.definition.tables } : null,
  }
}
