import type { Redis } from './redis.ts'
import { clockKey } from '../definition/key.ts'
import { READ } from './lua.ts'

/**
 * Lua function `clock`, which measures every age: Redis' TIME plus an offset, in whole milliseconds.
 * It never steps back, although TIME may. `<prefix>/clock` stores the offset and the last returned
 * time. If TIME plus the offset is before that time, the offset grows by the difference.
 *
 * Every process updates the stored time: the API with its poll, the invalidator with each window.
 * Redis may reject the write (read-only, out of memory, unable to save). The time is then right for this
 * call, and processes remember it: `least` is a time that the caller knows to have passed.
 */
export const CLOCK = `${READ}
local function clock(key, least)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local offset, last = string.match(read('GET', key) or '', '^(%d+) (%d+)$')
  offset, last = tonumber(offset), tonumber(last)
  -- A stored clock that is years ahead was not written by this function.
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

/**
 * Longest lag of a process behind the clock between two polls. The clock never issued a later time.
 */
export const CLOCK_SLACK_MS = 1_000

/** KEYS: clock. Returns its time. */
const READ_CLOCK = `${CLOCK}
return clock(KEYS[1], 0)
`

/** Returns a function that reads the clock, in milliseconds. */
export function createClock(redis: Redis, prefix: string): () => Promise<number> {
  redis.defineCommand('cacheTime', { numberOfKeys: 1, lua: READ_CLOCK })
  const scripted = redis as unknown as { cacheTime(clock: string): Promise<number> }
  return () => scripted.cacheTime(clockKey(prefix))
}

/**
 * Returns how far the clock is ahead of Redis' TIME because TIME stepped back, in milliseconds.
 * Returns 0 if it never did, or if Redis does not answer.
 */
export async function readClockOffset(redis: Redis, prefix: string): Promise<number> {
  const text = await redis.get(clockKey(prefix)).catch(() => null)
  return Number(/^(\d+) \d+$/.exec(text ?? '')?.[1] ?? 0)
}
