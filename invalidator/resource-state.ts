import { includes } from '../db/event-log/snapshot.ts'
import { type ReadSnapshot, isRetained } from '../db/event-log/window.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'
import type { Watermark } from '../shared/cache/watermark.ts'
import type { TriggerHealth } from './trigger-health.ts'
import type { Pass } from './pass.ts'
import type { ForeignReason } from './foreign-watermarks.ts'

/** A resource that a worker has taken on, and where it stands. */
export interface ResourceState {
  readonly resource: ResourceRules
  /** What is stored, byte for byte; `undefined` when that has to be read first. */
  stored: string | null | undefined
  mark: Watermark | null
  /** Why it is left alone. */
  foreignReason: ForeignReason | null
  triggerHealth: TriggerHealth | null
  /** Long work on its entries. Until it ends no window is read for the resource. */
  pass: Pass | null
}

/** Of which nothing is known yet. */
export const newResourceState = (resource: ResourceRules): ResourceState => ({
  resource,
  stored: undefined,
  mark: null,
  foreignReason: null,
  triggerHealth: null,
  pass: null,
})

/** Resources that stand at the same snapshot share a window; after one round that is all of them. */
export function groupByWatermark(
  states: readonly ResourceState[],
): [Watermark | null, ResourceRules[]][] {
  const bySnapshot = new Map<string, [Watermark | null, ResourceRules[]]>()
  for (const { mark, resource } of states) {
    const id = mark ? `${mark.incarnation} ${mark.snapshot.text}` : ''
    const group = bySnapshot.get(id) ?? [mark, []]
    bySnapshot.set(id, group)
    group[1].push(resource)
  }
  return [...bySnapshot.values()]
}

/**
 * Whether a window since a watermark holds everything that happened after it. A watermark that has
 * seen more than the present did not come from this life of the database.
 */
export const canContinueFrom = (mark: Watermark, readSnapshot: ReadSnapshot): boolean =>
  mark.incarnation === readSnapshot.database.incarnation &&
  includes(readSnapshot.snapshot, mark.snapshot) &&
  isRetained(mark.snapshot, readSnapshot)
