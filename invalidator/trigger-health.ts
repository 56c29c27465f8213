import { createHash } from 'node:crypto'
import type { Installation, Problem, WatchedTable } from '../db/event-log/index.ts'
import { compileRules, DISABLED, type ResourceRules } from '../shared/cache/index.ts'

/** Whether the triggers are intact, so that entries of a resource may be read. */
export interface TriggerHealth {
  /** Version of the resource, or `DISABLED` while a change of its tables may go unlogged. */
  readonly keyVersion: number
  /** Fingerprint of its rules and their tables. If it differs, a change may not have been logged. */
  readonly fingerprint: string
  /**
   * Problems that may keep changes of its tables out of the log, or rows out of lookups and loads.
   */
  readonly damaged: readonly Problem[]
}

/** Checks the installation that a resource depends on. */
export function checkTriggers(
  resource: ResourceRules,
  { tables, problems }: Installation,
): TriggerHealth {
  const wanted = watchedTablesOf(resource)
  const damaged = wanted.flatMap(problems)
  // Another build may apply other rules to the same entries, and ignore changes that these rules
  // watch.
  const hash = createHash('sha256').update(JSON.stringify(resource.staleWhen))
  for (const { name } of wanted) hash.update(`${name} ${tables.get(name)?.fingerprint}\n`)
  return {
    keyVersion: damaged.length === 0 ? resource.version : DISABLED,
    fingerprint: hash.digest('base64url').slice(0, 16),
    damaged,
  }
}

function watchedTablesOf(resource: ResourceRules): readonly WatchedTable[] {
  const known = compiled.get(resource)
  if (known) return known
  const { tables } = compileRules([resource])
  compiled.set(resource, tables)
  return tables
}

const compiled = new WeakMap<ResourceRules, readonly WatchedTable[]>()
