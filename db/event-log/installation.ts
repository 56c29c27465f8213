import type pg from 'pg'
import type { RulesDefinition, WatchedTable } from './definition.ts'
import { scanTables, type TableState } from './drift.ts'
import type { Problem } from './problem.ts'
import { type InstalledRules, readRules } from './rules.ts'
import { watchesAll, union } from './union.ts'
import { columnProblems } from './watchable.ts'

/** What is installed, and whether it can be relied on. */
export interface Installation {
  readonly tables: ReadonlyMap<string, TableState>
  /**
   * Why so much of a table cannot be relied on; empty where whole triggers report it, and go on
   * doing so: its build is not retired.
   */
  problems(wanted: WatchedTable): readonly Problem[]
}

/** Looks at the installation now and then. Rules and builds are read again only when there are others. */
export function createInspection(): (client: pg.ClientBase) => Promise<Installation> {
  let known: { id: string; rules: InstalledRules; wanted: readonly WatchedTable[] } | undefined

  let tables: ReadonlyMap<string, TableState> = new Map()

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
    const before = tables
    tables = await scanTables(
      client,
      rules.newest?.tables ?? [],
      rules.versionsOf,
      (name) => before.get(name)?.found,
    )
    const states = tables
    return {
      tables: states,
      problems: (table) => {
        const state = states.get(table.name)
        const goingOn = wanted.find(({ name }) => name === table.name)
        const isReported = [state?.follows, goingOn].every((one) => one && watchesAll(one, table))
        return [
          ...(state?.problems ?? []),
          ...columnProblems(state?.found, table),
          ...(isReported ? [] : [unreported(table.name, state)]),
        ]
      },
    }
  }
}

function unreported(table: string, state: TableState | undefined): Problem {
  if (state !== undefined && state.follows === null) {
    const text = `the triggers on ${table} are missing, disabled or changed`
    return { table, cause: 'triggers', text }
  }
  const text = `the triggers on ${table} were not installed for this build`
  return { table, cause: 'build', text }
}

/** What the builds that are not retired want watched, as one. */
export async function readWanted(client: pg.ClientBase): Promise<RulesDefinition> {
  const { rows } = await client.query<{ wanted: RulesDefinition }>(
    'select wanted from invalidation.build where retired_at is null order by digest',
  )
  return union(rows.map(({ wanted }) => wanted))
}
