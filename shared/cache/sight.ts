import { bareUuid } from './frame.ts'
import { decodeWatermark, type Watermark } from './watermark.ts'

/**
 * What time it is in Redis and how far it has been brought, without asking each time: both as the
 * last poll saw them. They belong to a connection and are forgotten with it, since the next one may
 * lead to another Redis.
 *
 * The time is its TIME and our monotonic clock since the poll was *sent*. So it is never behind,
 * entries are never taken for younger than they are, and no host's wall clock matters.
 */
export class Sight {
  #offsetMs: number | null = null
  #watermarks: ReadonlyMap<string, Watermark> = new Map()

  /** Milliseconds since the epoch by Redis; `null` before the first poll of this connection. */
  now(): number | null {
    return this.#offsetMs === null ? null : performance.now() + this.#offsetMs
  }

  /** How far a resource had been applied when the last poll looked; its incarnation as frames have it. */
  watermark(resource: string): Watermark | null {
    return this.#watermarks.get(resource) ?? null
  }

  /** Takes what a poll saw, and `performance.now()` when it was sent. */
  set({ redisMs, watermarks }: Poll, sentAtMs: number): void {
    this.#offsetMs = redisMs - sentAtMs
    this.#watermarks = watermarks
  }

  forget(): void {
    this.#offsetMs = null
    this.#watermarks = new Map()
  }
}

/** What one poll saw, all at one moment. */
export interface Poll {
  readonly redisMs: number
  readonly watermarks: ReadonlyMap<string, Watermark>
}

/** KEYS the hash of watermarks. Returns the time and the hash, as one moment saw them. */
export const POLL = `return { redis.call('TIME'), redis.call('HGETALL', KEYS[1]) }`

export type PollReply = readonly [time: readonly [string, string], hash: readonly string[]]

/** Reads a poll's reply; a watermark that this build cannot read is none. */
export function parsePoll([[seconds, micros], hash]: PollReply): Poll {
  const watermarks = new Map<string, Watermark>()
  for (let at = 0; at + 1 < hash.length; at += 2) {
    const mark = decodeWatermark(hash[at + 1] as string)
    if (mark === null) continue
    watermarks.set(hash[at] as string, { ...mark, incarnation: bareUuid(mark.incarnation) })
  }
  return { redisMs: Number(seconds) * 1000 + Number(micros) / 1000, watermarks }
}
