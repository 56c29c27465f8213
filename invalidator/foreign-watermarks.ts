import type { DatabaseIdentity } from '../db/event-log/window.ts'
import type { Watermark } from '../shared/cache/watermark.ts'

/** Why a watermark of another life may not be replaced. */
export type ForeignReason = 'moving' | 'newer timeline'

/** Tells what a life before us has left in Redis from what another living system writes there. */
export interface ForeignWatermarkCheck {
  /** Why this watermark of a resource must be left alone for now; `null` when it may be replaced. */
  check(resource: string, found: Watermark, ours: DatabaseIdentity): ForeignReason | null
}

/** A living owner says how fresh the cache is several times in this; a dead one never again. */
const IDLE_AFTER_MS = 2_500

/**
 * A watermark of another life is left alone while it moves: it belongs to a staging copy, or to an
 * old primary that nobody has fenced. Only what was promoted from that very database may take over
 * at once, and then the old one must not take back what is no longer its own.
 */
export function createForeignWatermarkCheck(
  nowMs: () => number = () => performance.now(),
): ForeignWatermarkCheck {
  const seen = new Map<string, { readonly asOfMs: number; readonly atMs: number }>()

  return {
    check(resource, found, ours) {
      const theirs = timelineOf(found.origin, ours.origin)
      if (theirs !== null && theirs.found < theirs.ours) return null
      if (theirs !== null && theirs.found > theirs.ours) return 'newer timeline'
      const last = seen.get(resource)
      if (last?.asOfMs !== found.asOfMs) {
        seen.set(resource, { asOfMs: found.asOfMs, atMs: nowMs() })
        return 'moving'
      }
      return nowMs() - last.atMs < IDLE_AFTER_MS ? 'moving' : null
    },
  }
}

/** The timelines of two origins, if they are of one system and database. */
function timelineOf(found: string, ours: string): { found: number; ours: number } | null {
  const [system, database, timeline] = found.split('.')
  const [ourSystem, ourDatabase, ourTimeline] = ours.split('.')
  if (system !== ourSystem || database !== ourDatabase) return null
  return { found: Number(timeline), ours: Number(ourTimeline) }
}
