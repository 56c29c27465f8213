import type { Entry } from '../world/entries.ts'
import type { Write } from '../writers/log.ts'

/** The origin of an answer, by its `Cache-Status`. */
export type Origin =
  /** Read from Redis, or shared with a concurrent load. */
  | 'kept'
  /** Loaded for this request. */
  | 'loaded'
  /** Expired, and served because the load failed; marked `fwd=stale`. */
  | 'stand-in'

/** A request and its answer, timed by the monotonic clock of this process. */
export interface Read {
  readonly entry: Entry
  /** Index of the API process. */
  readonly api: number
  /** Times just before the request was sent and just after its answer arrived. */
  readonly startMs: number
  readonly endMs: number
  readonly cacheStatus: string
  readonly origin: Origin
  /** All versions in the body, or in the copy that a 304 confirmed. */
  readonly versions: readonly string[]
  /** The consistency token in the request. */
  readonly token?: Token | undefined
}

/** A consistency token from the response of a write. */
export interface Token {
  readonly text: string
  readonly write: Write
  /** Time just before the write was sent. The token covers every write that was answered earlier. */
  readonly askedMs: number
}

export function originOf(cacheStatus: string): Origin {
  if (cacheStatus.includes('fwd=stale')) return 'stand-in'
  const isKept = cacheStatus.includes('; hit') || cacheStatus.includes('; collapsed')
  return isKept ? 'kept' : 'loaded'
}
