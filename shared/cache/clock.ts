import type { Redis } from '../redis.ts'
import { clockKey } from './key.ts'
import { READ } from './lua.ts'

/**
 * The clock by which every age is judged: Redis' TIME plus an offset, in whole milliseconds. It never
 * steps back, although TIME may: `<prefix>/clock` holds the offset and the last time that was given,
 * and where TIME plus offset is before that, the offset grows by the difference.
 *
 * Every process keeps it current: the API by its poll, the invalidator by each window. Redis may
 * refuse the write (read-only, out of memory, unable to save); then the time is right for this call,
 * and the processes remember it: `least` is a time that the caller knows to have passed.
 */
export const CLOCK = `${READ}
local function clock(key, least)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local offset, last = string.match(read('GET', key) or '', '^(%d+) (%d+)$')
  offset, last = tonumber(offset), tonumber(last)
  -- A clock that is ahead of itself by years was not written by this function.
  if not last or offset > 1e14 or last > now + offset + 1e11 then offset, last = 0, 0 end

  now = now + offset
  local minimum = math.max(last, tonumber(least))
  if minimum > now then
    offset, now = offset + minimum - now, minimum
  elseif now < last + 100 then
    return now
  end
  redis.pcall('SET', key, string.format('%.0f %.0f', offset, now))
  return now
end
`

/** What a clock may lag behind between two polls; any later time was not given by it. */
export const CLOCK_SLACK_MS = 1_000

/** KEYS the clock. Returns its time. */
const READ_CLOCK = `${CLOCK}
return clock(KEYS[1], 0)
`

/** A way to ask for the time of the clock, in milliseconds. */
export function createClock(redis: Redis, prefix: string): () => Promise<number> {
  redis.defineCommand('cacheTime', { numberOfKeys: 1, lua: READ_CLOCK })
  const scripted = redis as unknown as { cacheTime(clock: string): Promise<number> }
  return () => scripted.cacheTime(clockKey(prefix))
}

/** How far a clock is ahead of Redis' own, which has stepped back by as much; 0 while it never did. */
export async function readClockOffset(redis: Redis, prefix: string): Promise<number> {
  const text = await redis.get(clockKey(prefix)).catch(() => null)
  return Number(/^(\d+) \d+$/.exec(text ?? '')?.[1] ?? 0)
}
