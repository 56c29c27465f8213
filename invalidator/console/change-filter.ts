import type { Change } from './change.ts'

/** Selects changes. Every given condition must hold. */
export interface ChangeFilter {
  readonly table: string | null
  readonly resource: string | null
  /** Part of a key. */
  readonly key: string | null
}

/** Whether a change meets all conditions. */
export function matches({ table, entries, flushed }: Change, filter: ChangeFilter): boolean {
  const { table: wanted, resource, key } = filter
  return (
    (wanted === null || table === wanted) &&
    (resource === null ||
      entries.some((one) => one.resource === resource) ||
      flushed.some((one) => one.resource === resource)) &&
    (key === null || entries.some((one) => one.key.includes(key)))
  )
}
