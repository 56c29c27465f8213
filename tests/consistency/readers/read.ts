import type { Entry } from '../world/entries.ts'
import type { Write } from '../writers/log.ts'

/** How an answer came to be, as its `Cache-Status` says. */
export type Origin =
  /** Out of Redis, or by joining the load of another. */
  | 'kept'
  /** Loaded for this very request. */
  | 'loaded'
  /** An old one that stood in for a load that failed; it says so. */
  | 'stand-in'

/** A request and its answer, on the one monotonic clock of this process. */
export interface Read {
  readonly entry: Entry
  /** Which API process. */
  readonly api: number
  /** Before the request was sent, and after its answer had arrived. */
  readonly startMs: number
  readonly endMs: number
  readonly cacheStatus: string
  readonly origin: Origin
  /** All versions in the body, or in the copy that a 304 confirmed. */
  readonly versions: readonly string[]
  /** The token that was brought: from which write, and since when that had been on its way. */
  readonly token?: Token | undefined
}

/** What a successful write gave. */
export interface Token {
  readonly text: string
  readonly write: Write
  /** Whatever had been answered by then was committed when the token was made. */
  readonly askedMs: number
}

export function originOf(cacheStatus: string): Origin {
  if (cacheStatus.includes('fwd=stale')) return 'stand-in'
  const isKept = cacheStatus.includes('; hit') || cacheStatus.includes('; collapsed')
  return isKept ? 'kept' : 'loaded'
}
