import { includes } from '../../db/event-log/snapshot.ts'
import type { IncarnationTracker } from './incarnation-tracker.ts'
import type { ResourceRules } from './resource.ts'
import type { ConsistencyToken } from './consistency-token.ts'
import { ageMsOf, DISABLED, type Watermark } from './watermark.ts'

/**
 * What may be taken from Redis, judged by the watermark that was held when the question was *sent*:
 * a newer one would speak of a later state than the answer's. Only the clock is read at the decision.
 */
export interface FreshnessPolicy {
  /** Why nothing of a resource may be taken or stored; `undefined` when it may. */
  reasonToBypass(
    resource: ResourceRules,
    mark: Watermark | null,
  ): 'version' | 'triggers' | undefined
  /** What a frame must be to count. */
  requirement(mark: Watermark | null, nowMs: number): FreshnessRequirement
  /** Whether what Redis holds is at or past everything that these tokens stand for. */
  satisfies(
    mark: Watermark | null,
    consistencyTokens: readonly ConsistencyToken[],
    nowMs: number,
  ): boolean
}

export interface FreshnessRequirement {
  /** A frame of another life of the database is as good as absent; `null`: every frame is. */
  readonly incarnation: string | null
  /** A frame that was leased before this may be too old, whatever its TTL says. */
  readonly oldestMs: number
  /** A frame that says it stays fresh for longer than this was not written by a fill. */
  readonly longestMs?: number
}

export interface FreshnessPolicyOptions {
  /** Nothing that was superseded longer ago than this is fresh, whatever has died or stopped. */
  readonly maxStalenessMs: number
  readonly incarnationTracker: Pick<IncarnationTracker, 'incarnation'>
}

/**
 * While a watermark says that every commit has been applied up to some moment not long ago, entries
 * live as long as their TTL. Without one, or when it has stopped, or when it speaks of another life
 * of the database than our own connections see, an entry is fresh only while it is young itself.
 * So each is loaded again once per bound, and load stays absorbed.
 */
export function createFreshnessPolicy({
  maxStalenessMs,
  incarnationTracker,
}: FreshnessPolicyOptions): FreshnessPolicy {
  const isOurs = (mark: Watermark | null): mark is Watermark =>
    mark !== null && mark.incarnation === incarnationTracker.incarnation

  const isTrusted = (mark: Watermark | null, nowMs: number): mark is Watermark =>
    isOurs(mark) && ageMsOf(mark, nowMs) <= maxStalenessMs

  return {
    reasonToBypass({ version }, mark) {
      if (mark === null || mark.keyVersion === version) return undefined
      return mark.keyVersion === DISABLED ? 'triggers' : 'version'
    },

    requirement(mark, nowMs) {
      if (incarnationTracker.incarnation === undefined) {
        // What is there may be another system's: at most it stands in for a load that fails.
        return { incarnation: mark?.incarnation ?? null, oldestMs: Infinity }
      }
      const oldestMs = isTrusted(mark, nowMs) ? 0 : nowMs - maxStalenessMs
      return { incarnation: incarnationTracker.incarnation, oldestMs }
    },

    satisfies: (mark, consistencyTokens, nowMs) =>
      consistencyTokens.length === 0 ||
      (isTrusted(mark, nowMs) &&
        consistencyTokens.every(
          ({ incarnation, snapshot }) =>
            incarnation === mark.incarnation && includes(mark.snapshot, snapshot),
        )),
  }
}
