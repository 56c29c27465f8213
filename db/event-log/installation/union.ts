import type { RulesDefinition, WatchedTable } from './definition.ts'

/** Returns the union of several definitions, sorted so that equal inputs give equal rules. */
export function union(definitions: readonly RulesDefinition[]): RulesDefinition {
  const tables = new Map<string, WatchedTable>()
  for (const { name, watch, keys } of definitions.flatMap(({ tables }) => tables)) {
    const known = tables.get(name)
    tables.set(name, {
      name,
      watch: merged(known?.watch, watch),
      keys: merged(known?.keys, keys),
    })
  }
  return { tables: [...tables.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)) }
}

/** Whether all wanted columns are watched and all wanted keys are logged. */
export const watchesAll = (
  { watch, keys }: Pick<WatchedTable, 'watch' | 'keys'>,
  wanted: Pick<WatchedTable, 'watch' | 'keys'>,
): boolean =>
  wanted.watch.every((column) => watch.includes(column)) &&
  wanted.keys.every((column) => keys.includes(column))

const merged = (a: readonly string[] = [], b: readonly string[]) =>
  [...new Set([...a, ...b])].toSorted()
