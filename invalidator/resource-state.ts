import { includes, isRetained, type ReadSnapshot } from '../db/event-log/index.ts'
import type { ResourceRules, Watermark } from '../shared/cache/index.ts'
import type { TriggerHealth } from './trigger-health.ts'
import type { Pass } from './pass.ts'
import type { ForeignReason } from './foreign-watermarks.ts'

/** A resource that a worker owns, and its progress. */
export interface ResourceState {
  readonly resource: ResourceRules
  /** Stored watermark, byte for byte; `undefined` if it must be read first. */
  stored: string | null | undefined
  mark: Watermark | null
  /** Reason why its watermark must not be replaced. */
  foreignReason: ForeignReason | null
  triggerHealth: TriggerHealth | null
  /**
   * Update of its entries that takes many scripts. Until it ends no window is read for the resource.
   */
  pass: Pass | null
}

/** Returns the state of a resource before anything was read. */
export const newResourceState = (resource: ResourceRules): ResourceState => ({
  resource,
  stored: undefined,
  mark: null,
  foreignReason: null,
  triggerHealth: null,
  pass: null,
})

/** Groups resources by snapshot. Each group shares a window; after one round there is one group. */
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
 * Returns whether a window since a watermark includes every later change. A watermark that includes more
 * than the present snapshot belongs to another incarnation of the database.
 */
export const canContinueFrom = (mark: Watermark, readSnapshot: ReadSnapshot): boolean =>
  mark.incarnation === readSnapshot.database.incarnation &&
  includes(readSnapshot.snapshot, mark.snapshot) &&
  isRetained(mark.snapshot, readSnapshot)
