import { createHash } from 'node:crypto'
import type { WatchedTable } from '../db/event-log/definition.ts'
import type { Installation } from '../db/event-log/installation.ts'
import type { Problem } from '../db/event-log/problem.ts'
import { compileRules } from '../shared/cache/compile.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'
import { DISABLED } from '../shared/cache/watermark.ts'

/** Whether the entries of a resource may be read, as the triggers stand. */
export interface TriggerHealth {
  /** That of the resource, or `UNNAMED` while a change of its tables may go unseen. */
  readonly keyVersion: number
  /** Of its rules and all their tables: when it differs, a change may have gone unseen. */
  readonly fingerprint: string
  /** Why changes of its tables may go unlogged, or lookups and loads not see them all. */
  readonly damaged: readonly Problem[]
}

/** Judges a resource by the installation that it depends on. */
export function checkTriggers(
  resource: ResourceRules,
  { tables, problems }: Installation,
): TriggerHealth {
  const wanted = watchedTablesOf(resource)
  const damaged = wanted.flatMap(problems)
  // Another build may follow other rules to the same entries, and have let pass what these do not.
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
