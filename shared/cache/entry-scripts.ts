import { LUA } from './frame.ts'

/**
 * The scripts on one entry. An entry is one hash: `variant` -> frame, `~variant` -> lease. Values
 * and the permissions to fill them share a key, so that one UNLINK forgets the values and withdraws
 * every fill in flight.
 *
 * Time is Redis' own, in milliseconds.
 */

const PRELUDE = `
local entry, variant, token = KEYS[1], ARGV[1], ARGV[2]
local lease_field = '~' .. variant

-- The larger of what is left and what is needed; a key without expiry counts as 0.
local function keep_for(needed)
  if redis.call('PTTL', entry) < needed then redis.call('PEXPIRE', entry, needed) end
end

local function holder(lease) return string.match(lease, '^[^:]+') end
`

/**
 * KEYS entry; ARGV variant, token, lease ms, oldest acceptable leased-at, most fields, the 16 bytes
 * of the incarnation that a value must be of (none will do: empty).
 * Returns an acceptable value that has appeared (`hit`), or who holds the lease (`held`), or that
 * the entry takes no more variants (`full`), or the lease itself (`lease`); and the time.
 */
export const LEASE = `${PRELUDE}
local lease_ms, oldest, most_fields = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local incarnation = ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local frame = redis.call('HGET', entry, variant)
if frame and #frame >= ${LUA.shortest} then
  local leased_at, fresh_until = struct.unpack('>dd', frame, ${LUA.times})
  local of_this_life = string.sub(frame, ${LUA.incarnation}, ${LUA.incarnationEnd}) == incarnation
  if of_this_life and fresh_until > now and leased_at >= oldest then
    return { 'hit', now, frame }
  end
end

local lease = redis.call('HGET', entry, lease_field)
if lease and tonumber(string.match(lease, ':(.+)$')) > now then
  return { 'held', now, holder(lease) }
end
if not lease and redis.call('HLEN', entry) >= most_fields then return { 'full', now } end

redis.call('HSET', entry, lease_field, token .. ':' .. (now + lease_ms))
keep_for(lease_ms)
return { 'lease', now }
`

/**
 * KEYS entry; ARGV variant, token, frame, keep ms, most variants.
 * Stores the frame only if the lease is still there: an invalidation in between took it away, and
 * then what was read may be older than the change.
 */
export const FILL = `${PRELUDE}
local frame, keep_ms, most_variants = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

-- Counted one by one only where there may be too many: what others have leased is not stored.
local function is_full()
  if redis.call('HLEN', entry) < most_variants then return false end
  if redis.call('HEXISTS', entry, variant) == 1 then return false end
  local stored = 0
  for _, field in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(field, 1, 1) ~= '~' then stored = stored + 1 end
  end
  return stored >= most_variants
end

local lease = redis.call('HGET', entry, lease_field)
if not lease or holder(lease) ~= token then return 'withdrawn' end
redis.call('HDEL', entry, lease_field)
if is_full() then return 'full' end
redis.call('HSET', entry, variant, frame)
keep_for(keep_ms)
return 'stored'
`

/** KEYS entry; ARGV variant, token. Gives a lease back unused, so that nobody waits for it. */
export const RELEASE = `${PRELUDE}
local lease = redis.call('HGET', entry, lease_field)
if lease and holder(lease) == token then redis.call('HDEL', entry, lease_field) end
return 0
`
