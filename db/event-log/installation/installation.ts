import type pg from 'pg'
import type { RulesDefinition, WatchedTable } from './definition.ts'
import { scanTables, type TableState } from './drift.ts'
import type { Problem } from './problem.ts'
import { type InstalledRules, readRules } from './rules.ts'
import { watchesAll, union } from './union.ts'
import { columnProblems } from './watchable.ts'

/** The state of the installed triggers. */
export interface Installation {
  readonly tables: ReadonlyMap<string, TableState>
  /**
   * Reasons for which changes of these columns may go unlogged. Empty if the triggers are intact, watch
   * all of these columns, and a build that is not retired requires them.
   */
  problems(wanted: WatchedTable): readonly Problem[]
}

/** Returns a function that reads the installation; it rereads rules and builds only when they change. */
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
        const activeTable = wanted.find(({ name }) => name === table.name)
        const isWatched = [state?.follows, activeTable].every(
          (one) => one && watchesAll(one, table),
        )
        return [
          ...(state?.problems ?? []),
          ...columnProblems(state?.found, table),
          ...(isWatched ? [] : [notWatched(table.name, state)]),
        ]
      },
    }
  }
}

function notWatched(table: string, state: TableState | undefined): Problem {
  if (state !== undefined && state.follows === null) {
    const text = `the triggers on ${table} are missing, disabled or changed`
    return { table, cause: 'triggers', text }
  }
  const text = `the triggers on ${table} were not installed for this build`
  return { table, cause: 'build', text }
}

/** Reads the union of the definitions of all builds that are not retired. */
export async function readWanted(client: pg.ClientBase): Promise<RulesDefinition> {
  const { rows } = await client.query<{ wanted: RulesDefinition }>(
    'select wanted from invalidation.build where retired_at is null order by digest',
  )
  return union(rows.map(({ wanted }) => wanted))
}
