import { bareUuid } from './cached-value.ts'
import { CLOCK } from './clock.ts'
import { decodeWatermark, type Watermark } from './watermark.ts'

/**
 * What time it is in Redis and how far it has been brought, without asking each time: both as the
 * last poll saw them. They belong to a connection and are forgotten with it, since the next one may
 * lead to another Redis.
 *
 * The time is that of its clock and our monotonic clock since the poll was *sent*. So it is never behind,
 * entries are never taken for younger than they are, and no host's wall clock matters.
 */
export class PolledState {
  #offsetMs: number | null = null
  /** What to add to `performance.now()` for a time that has passed; it outlives a connection. */
  #minimumOffsetMs = -Infinity
  #watermarks: ReadonlyMap<string, Watermark> = new Map()

  /** Milliseconds since the epoch by Redis; `null` before the first poll of this connection. */
  now(): number | null {
    return this.#offsetMs === null ? null : performance.now() + this.#offsetMs
  }

  /** How far a resource had been applied when the last poll looked; its incarnation as frames have it. */
  watermark(resource: string): Watermark | null {
    return this.#watermarks.get(resource) ?? null
  }

  /** A time that the clock must have passed, whatever has become of what it keeps in Redis. */
  minimumMs(): number {
    return Math.max(0, Math.floor(performance.now() + this.#minimumOffsetMs - DRIFT_MS))
  }

  /** Takes what a poll saw, and `performance.now()` when it was sent. */
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

/** So much two clocks may drift apart between polls, and more when polls fail. */
const DRIFT_MS = 20

/** What one poll saw, all at one moment. */
export interface Poll {
  readonly redisMs: number
  readonly watermarks: ReadonlyMap<string, Watermark>
}

/**
 * KEYS the hash of watermarks, the clock; ARGV a time that has passed.
 * Returns the time and the watermarks, as one moment saw them. What is larger than a watermark can be
 * is left out, so that it does not hold up what waits behind it.
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

/** Reads a poll's reply; a watermark that this build cannot read is none. */
export function parsePoll([nowMs, marks]: PollReply): Poll {
  const watermarks = new Map<string, Watermark>()
  for (let at = 0; at + 1 < marks.length; at += 2) {
    const mark = decodeWatermark(marks[at + 1] as string)
    if (mark === null) continue
    watermarks.set(marks[at] as string, { ...mark, incarnation: bareUuid(mark.incarnation) })
  }
  // The clock has cut off what came after the millisecond.
  return { redisMs: nowMs + 1, watermarks }
}
