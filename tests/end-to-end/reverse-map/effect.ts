import type { WarmSystem } from '../warm/warm-system.ts'
import type { Change, Entries } from './change.ts'

/** Differences between the listed and the actual effect of a change. Entries are `resource id`. */
export interface Difference {
  /** Invalidated, but listed neither as stale nor as coarser. */
  readonly tooMany: readonly string[]
  /** Listed, but not invalidated. */
  readonly tooFew: readonly string[]
  /** Listed as stale, but with the same answer as before. */
  readonly unchanged: readonly string[]
  /** Listed as coarser, but with a different answer. */
  readonly changed: readonly string[]
  /** Listed resources of which no listed entry was cached, so that nothing was checked. */
  readonly cold: readonly string[]
}

/** Executes a change, waits until it has been applied, and compares its effect with the list. */
export async function compare(
  warm: WarmSystem,
  { sql, stale, coarser = { because: '', stale: {} } }: Change,
): Promise<Difference> {
  await warm.renew()
  const before = await warm.cached()
  const kept = new Map(warm.entries.map((entry) => [entry, warm.answered(entry)]))
  const listed = [await find(stale), await find(coarser.stale)]
  await warm.system.sql.query(sql)
  await warm.untilApplied()
  const after = await warm.cached()
  const mustGo = new Set([...(listed[0] ?? []), ...(await find(stale))])
  const mayGo = new Set([...(listed[1] ?? []), ...(await find(coarser.stale))])

  const gone = [...before].filter((entry) => !after.has(entry))
  await warm.warm(gone)
  const isOther = (entry: string) => warm.answered(entry) !== kept.get(entry)
  const expected = [...mustGo, ...mayGo].filter((entry) => before.has(entry))
  return {
    tooMany: gone.filter((entry) => !mustGo.has(entry) && !mayGo.has(entry)),
    tooFew: expected.filter((entry) => after.has(entry)),
    unchanged: gone.filter((entry) => mustGo.has(entry) && !isOther(entry)),
    changed: gone.filter((entry) => mayGo.has(entry) && !mustGo.has(entry) && isOther(entry)),
    cold: Object.keys({ ...stale, ...coarser.stale }).filter(
      (name) => !expected.some((entry) => entry.split(' ')[0] === name),
    ),
  }

  async function find(entries: Entries): Promise<string[]> {
    const found: string[] = []
    for (const [resource, query] of Object.entries(entries)) {
      if (query === '') found.push(resource)
      else {
        const { rows } = await warm.system.sql.query<{ id: string }>(
          `select distinct id::text as id from (${query}) as found (id)`,
        )
        found.push(...rows.map(({ id }) => `${resource} ${id}`))
      }
    }
    return found
  }
}

/** Returns the entries whose cached answer differs from a new load. */
export async function findWrong(warm: WarmSystem): Promise<readonly string[]> {
  await warm.warm(warm.entries)
  const shown = new Map(warm.entries.map((entry) => [entry, warm.answered(entry)]))
  await warm.invalidate()
  await warm.warm(warm.entries)
  return warm.entries.filter((entry) => warm.answered(entry) !== shown.get(entry))
}
