import type { DatabaseIdentity } from '../db/event-log/window.ts'
import type { Watermark } from '../shared/cache/watermark.ts'

/** Why a watermark of another life may not be replaced. */
export type Rivalry = 'alive' | 'newer timeline'

/** Tells what a life before us has left in Redis from what another living system writes there. */
export interface Rivals {
  /** Why this watermark of a resource must be left alone for now; `null` when it may be replaced. */
  rivalry(resource: string, found: Watermark, ours: DatabaseIdentity): Rivalry | null
}

/** A living owner says how fresh the cache is several times in this; a dead one never again. */
const STILL_MS = 2_500

/**
 * A watermark of another life is left alone while it moves: it belongs to a staging copy, or to an
 * old primary that nobody has fenced. Only what was promoted from that very database may take over
 * at once, and then the old one must not take back what is no longer its own.
 */
export function createRivals(nowMs: () => number = () => performance.now()): Rivals {
  const seen = new Map<string, { readonly asOfMs: number; readonly atMs: number }>()

  return {
    rivalry(resource, found, ours) {
      const theirs = timelineOf(found.origin, ours.origin)
      if (theirs !== null && theirs.found < theirs.ours) return null
      if (theirs !== null && theirs.found > theirs.ours) return 'newer timeline'
      const last = seen.get(resource)
      if (last?.asOfMs !== found.asOfMs) {
        seen.set(resource, { asOfMs: found.asOfMs, atMs: nowMs() })
        return 'alive'
      }
      return nowMs() - last.atMs < STILL_MS ? 'alive' : null
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
