import { bareUuid } from '../entry-store/cached-value.ts'
import { CLOCK } from '../redis/clock.ts'
import { decodeWatermark, type Watermark } from './watermark.ts'

/**
 * Clock and watermarks as the last poll saw them, so that reads need not request them. They belong to
 * a connection and are discarded with it, since the next one may lead to another Redis.
 *
 * The time is that of the clock plus the monotonic time since the poll was *sent*. So it is never behind
 * the clock, entries never appear younger than they are, and no host's wall clock matters.
 */
export class PolledState {
  #offsetMs: number | null = null
  /** Offset to `performance.now()` that yields a time which has passed. It outlives a connection. */
  #minimumOffsetMs = -Infinity
  #watermarks: ReadonlyMap<string, Watermark> = new Map()

  /**
   * Returns milliseconds since the epoch by Redis; `null` before the first poll of this connection.
   */
  now(): number | null {
    return this.#offsetMs === null ? null : performance.now() + this.#offsetMs
  }

  /** Returns a resource's watermark of the last poll; its incarnation is 32 hexadecimal digits. */
  watermark(resource: string): Watermark | null {
    return this.#watermarks.get(resource) ?? null
  }

  /** Returns a time that the clock must have passed, even if Redis lost the stored clock. */
  minimumMs(): number {
    return Math.max(0, Math.floor(performance.now() + this.#minimumOffsetMs - DRIFT_MS))
  }

  /** Records the result of a poll, and `performance.now()` when the poll was sent. */
  set({ redisMs, watermarks }: Poll, sentAtMs: number): void {
    this.#offsetMs = redisMs - sentAtMs
    this.#minimumOffsetMs = redisMs - performance.now()
    this.#watermarks = watermarks
  }

  reset(): void {
    this.#offsetMs = null
    this.#watermarks = new Map()
  }
}

/** Drift of the two clocks between polls, in milliseconds. It grows while polls fail. */
const DRIFT_MS = 20

/** Result of one poll, as of one moment. */
export interface Poll {
  readonly redisMs: number
  readonly watermarks: ReadonlyMap<string, Watermark>
}

/**
 * KEYS: watermark hash, clock. ARGV: a time that has passed. Returns the time and the watermarks as of
 * one moment. Omits values that are larger than a watermark can be, so that they delay no other reply.
 */
export const POLL = `${CLOCK}
local now, marks = clock(KEYS[2], ARGV[1]), {}
for _, field in ipairs(read('HKEYS', KEYS[1]) or {}) do
  if redis.call('HSTRLEN', KEYS[1], field) <= 262144 then
    marks[#marks + 1] = field
    marks[#marks + 1] = redis.call('HGET', KEYS[1], field)
  end
end
return { now, marks }
`

export type PollReply = readonly [nowMs: number, marks: readonly string[]]

/** Parses the reply to a poll. Omits watermarks that this build cannot read. */
export function parsePoll([nowMs, marks]: PollReply): Poll {
  const watermarks = new Map<string, Watermark>()
  for (let at = 0; at + 1 < marks.length; at += 2) {
    const mark = decodeWatermark(marks[at + 1] as string)
    if (mark === null) continue
    watermarks.set(marks[at] as string, { ...mark, incarnation: bareUuid(mark.incarnation) })
  }
  // The clock truncates to milliseconds, and the time must not be behind.
  return { redisMs: nowMs + 1, watermarks }
}
