import type pg from 'pg'
import type { InstalledTable } from './definition.ts'

/** What the ids, masks and key positions of every installed version mean. */
export interface InstalledRules {
  /** The meaning of a table id under a version; `null` when that version is not known. */
  find(version: number, tableId: number): InstalledTable | null
  /** The table of an id, whatever the version: ids are never reused. */
  nameOf(tableId: number): string | null
  /** Every way in which a table was ever watched, the newest first. */
  versionsOf(table: string): readonly InstalledTable[]
  /** The id of every table that was ever watched. */
  readonly ids: ReadonlyMap<string, number>
  readonly newest: { readonly version: number; readonly tables: readonly InstalledTable[] } | null
}

/** Reads every version of the rules. Cheap, and needed only when an event names an unknown one. */
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
