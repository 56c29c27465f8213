import { includes } from '../../../db/event-log/index.ts'
import type { IncarnationTracker } from './incarnation-tracker.ts'
import type { ResourceRules } from '../definition/resource.ts'
import type { ConsistencyToken } from './consistency-token.ts'
import { ageMsOf, DISABLED, type Watermark } from './watermark.ts'

/**
 * Decides which cached values may be used. It judges a reply by the watermark that was held when the
 * command was *sent*: a newer one could describe a later state. Only the clock is read at the decision.
 */
export interface FreshnessPolicy {
  /** Returns why values of a resource may neither be used nor stored; `undefined` if they may. */
  reasonToBypass(
    resource: ResourceRules,
    mark: Watermark | null,
  ): 'version' | 'triggers' | undefined
  /** Returns what a cached value must meet to be fresh. */
  requirement(mark: Watermark | null, nowMs: number): FreshnessRequirement
  /** Returns whether Redis includes everything that these tokens require. */
  satisfies(
    mark: Watermark | null,
    consistencyTokens: readonly ConsistencyToken[],
    nowMs: number,
  ): boolean
}

export interface FreshnessRequirement {
  /** Required incarnation: a value of another one counts as absent. `null`: every value does. */
  readonly incarnation: string | null
  /** A value that was leased earlier may be too old, even within its TTL. */
  readonly oldestMs: number
  /** A value that claims to stay fresh for longer was not written by a fill. */
  readonly longestMs?: number
}

export interface FreshnessPolicyOptions {
  /**
   * Bound on staleness: no value is fresh that was superseded longer ago, whichever process failed.
   */
  readonly maxStalenessMs: number
  readonly incarnationTracker: Pick<IncarnationTracker, 'incarnation'>
}

/**
 * While a recent watermark confirms that every commit up to its time has been applied, entries live
 * as long as their TTL. The watermark does not count if it is missing, has stopped, or belongs to
 * another incarnation than this process' connections see. Then an entry is fresh only until it is as
 * old as the bound. Each entry is loaded once per bound, so the cache still absorbs load.
 */
export function createFreshnessPolicy({
  maxStalenessMs,
  incarnationTracker,
}: FreshnessPolicyOptions): FreshnessPolicy {
  const isCurrent = (mark: Watermark | null): mark is Watermark =>
    mark !== null && mark.incarnation === incarnationTracker.incarnation

  const isTrusted = (mark: Watermark | null, nowMs: number): mark is Watermark =>
    isCurrent(mark) && ageMsOf(mark, nowMs) <= maxStalenessMs

  return {
    reasonToBypass({ version }, mark) {
      if (mark === null || mark.keyVersion === version) return undefined
      return mark.keyVersion === DISABLED ? 'triggers' : 'version'
    },

    requirement(mark, nowMs) {
      if (incarnationTracker.incarnation === undefined) {
        // Every value is stale: it may belong to another system. It may only replace a failed load.
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
