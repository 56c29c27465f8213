import type { CachedValue } from '../entry-store/cached-value.ts'
import type { EntryField } from '../entry-store/entry-store.ts'
import type { TimeBudget } from '../entry-store/time-budget.ts'
import type { ConsistencyToken } from '../freshness/consistency-token.ts'
import type { Watermark } from '../freshness/watermark.ts'
import type { LoadRequest } from './loader.ts'

/** One read, from the request to the answer. */
export interface ReadCall<DB> extends LoadRequest<DB> {
  readonly field: EntryField
  readonly consistencyTokens: readonly ConsistencyToken[]
  readonly budget: TimeBudget
  /** The watermark when the read began. */
  readonly mark: Watermark | null
  /** A value that was found but is not fresh. It may replace a failed load. */
  old: CachedValue | null
}
