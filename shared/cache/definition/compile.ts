import type { RulesDefinition, WatchedTable } from '../../../db/event-log/index.ts'
import type { ResourceRules } from './resource.ts'
import { isLookup, type Rule } from './rule.ts'

/** Compiles the rules of all resources into the columns that the triggers must watch and log. */
export function compileRules(catalog: readonly ResourceRules[]): RulesDefinition {
  const tables = new Map<string, { watch: Set<string>; keys: Set<string> }>()
  const creations = new Map(catalog.flatMap(({ creates = {} }) => Object.entries(creates)))
  for (const rule of catalog.flatMap(({ staleWhen }) => staleWhen)) {
    const table = tables.get(rule.table) ?? { watch: new Set(), keys: new Set() }
    tables.set(rule.table, table)
    for (const column of rule.watch) table.watch.add(column)
    for (const column of columnsOf(rule)) table.keys.add(column)
  }
  // Sorted, so that the same rules always compile to the same version.
  return {
    tables: [...tables]
      .map(([name, { watch, keys }]): WatchedTable => ({
        name,
        watch: [...watch].toSorted(),
        keys: [...keys].toSorted(),
        ...(creations.has(name) && { create: creations.get(name) }),
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

/** Returns the columns whose values a rule needs. */
export const columnsOf = (rule: Rule): readonly string[] =>
  isLookup(rule) ? rule.from : Object.values(rule.key)
