import type pg from 'pg'
import type { RulesDefinition, WatchedTable } from './definition.ts'
import { scanTables, type TableState } from './drift.ts'
import { type InstalledRules, readRules } from './rules.ts'
import { covers, union } from './union.ts'

/** What is installed, and whether it can be relied on. */
export interface Installation {
  readonly tables: ReadonlyMap<string, TableState>
  /** Whether whole triggers report this much of a table, and go on doing so: its build is not retired. */
  reports(wanted: WatchedTable): boolean
}

/** Looks at the installation now and then. Rules and builds are read again only when there are others. */
export function createInspection(): (client: pg.ClientBase) => Promise<Installation> {
  let known: { id: string; rules: InstalledRules; wanted: readonly WatchedTable[] } | undefined

  return async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `select concat((select max(version) from invalidation.rules), ' ', (
         select string_agg(digest, ' ' order by digest) from invalidation.build where retired_at is null
       )) as id`,
    )
    const { id } = rows[0] as { id: string }
    if (known?.id !== id) {
      known = { id, rules: await readRules(client), wanted: (await readWanted(client)).tables }
    }
    const { rules, wanted } = known
    const tables = await scanTables(client, rules.newest?.tables ?? [], rules.waysToWatch)
    return {
      tables,
      reports: (table) => {
        const goingOn = wanted.find(({ name }) => name === table.name)
        return [tables.get(table.name)?.follows, goingOn].every((one) => one && covers(one, table))
      },
    }
  }
}

/** What the builds that are not retired want watched, as one. */
export async function readWanted(client: pg.ClientBase): Promise<RulesDefinition> {
  const { rows } = await client.query<{ wanted: RulesDefinition }>(
    'select wanted from invalidation.build where retired_at is null order by digest',
  )
  return union(rows.map(({ wanted }) => wanted))
}
