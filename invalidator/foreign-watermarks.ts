import type { DatabaseIdentity } from '../db/event-log/index.ts'
import type { Watermark } from '../shared/cache/index.ts'

/** Reason why a watermark of another incarnation must not be replaced. */
export type ForeignReason = 'moving' | 'newer timeline'

/**
 * Distinguishes watermarks of an earlier incarnation from those that another active system writes.
 */
export interface ForeignWatermarkCheck {
  /**
   * Returns why the watermark of a state must not be replaced for now; `null` if it may be replaced.
   */
  check(state: string, found: Watermark, ours: DatabaseIdentity): ForeignReason | null
}

/**
 * An active owner publishes freshness several times within this period; a stopped one never again.
 */
const IDLE_AFTER_MS = 2_500

/**
 * A watermark of another incarnation must not be replaced while it moves: it belongs to a staging copy,
 * or to an old primary that was not fenced. Only a primary promoted from that very database may take
 * over at once. Then the old primary must not take back the resource that it has lost.
 */
export function createForeignWatermarkCheck(
  nowMs: () => number = () => performance.now(),
): ForeignWatermarkCheck {
  const seen = new Map<string, { readonly asOfMs: number; readonly atMs: number }>()

  return {
    check(state, found, ours) {
      const timelines = timelinesOf(found.origin, ours.origin)
      if (timelines !== null && timelines.found < timelines.ours) return null
      if (timelines !== null && timelines.found > timelines.ours) return 'newer timeline'
      const last = seen.get(state)
      if (last?.asOfMs !== found.asOfMs) {
        seen.set(state, { asOfMs: found.asOfMs, atMs: nowMs() })
        return 'moving'
      }
      return nowMs() - last.atMs < IDLE_AFTER_MS ? 'moving' : null
    },
  }
}

/** Returns the timelines of two origins; `null` if system or database differ. */
function timelinesOf(found: string, ours: string): { found: number; ours: number } | null {
  const [system, database, timeline] = found.split('.')
  const [ourSystem, ourDatabase, ourTimeline] = ours.split('.')
  if (system !== ourSystem || database !== ourDatabase) return null
  return { found: Number(timeline), ours: Number(ourTimeline) }
}
