import { CLOCK } from './clock.ts'
import { LUA } from './frame.ts'
import { READ } from './lua.ts'

/**
 * The scripts on one entry. An entry is one hash: `variant` -> frame, `~variant` -> lease. Values
 * and the permissions to fill them share a key, so that one UNLINK forgets the values and withdraws
 * every fill in flight.
 *
 * Time is that of the clock, in milliseconds. A key of another type, or a field that no script of ours
 * can have written, counts as absent: a lease replaces it, a fill finds its lease withdrawn.
 */

const PRELUDE = `
local entry, variant, token = KEYS[1], ARGV[1], ARGV[2]
local lease_field = '~' .. variant

-- The larger of what is left and what is needed; a key without expiry counts as 0.
local function keep_for(needed)
  if redis.call('PTTL', entry) < needed then redis.call('PEXPIRE', entry, needed) end
end

local function holder(lease) return string.match(lease, '^[^:]+') end
local function deadline(lease) return tonumber(string.match(lease, ':(%d+)$')) end
`

/**
 * KEYS entry, clock; ARGV variant, token, lease ms, oldest acceptable leased-at, most fields, the 16
 * bytes of the incarnation that a value must be of (none will do: empty), longest time to live in ms.
 * Returns an acceptable value that has appeared (`hit`), or who holds the lease (`held`), or that
 * the entry takes no more variants (`full`), or the lease itself (`lease`); and the time.
 */
export const LEASE = `${CLOCK}${PRELUDE}
local lease_ms, oldest, most_fields = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local incarnation, longest = ARGV[6], tonumber(ARGV[7])
local now = clock(KEYS[2], 0)

local frame = read('HGET', entry, variant)
if frame == nil then redis.call('UNLINK', entry) end
if frame and #frame >= ${LUA.shortest} and string.byte(frame) == ${LUA.format} then
  local leased_at, fresh_until = struct.unpack('>dd', frame, ${LUA.times})
  local of_this_life = string.sub(frame, ${LUA.incarnation}, ${LUA.incarnationEnd}) == incarnation
  local can_be = leased_at <= now and fresh_until <= leased_at + longest
  if of_this_life and can_be and fresh_until > now and leased_at >= oldest then
    return { 'hit', now, frame }
  end
end

local lease = redis.call('HGET', entry, lease_field)
local until_ms = lease and holder(lease) and deadline(lease) or 0
if until_ms > now and until_ms <= now + lease_ms then
  return { 'held', now, holder(lease) }
end
if not lease and redis.call('HLEN', entry) >= most_fields then return { 'full', now } end

redis.call('HSET', entry, lease_field, token .. ':' .. string.format('%.0f', now + lease_ms))
keep_for(lease_ms)
return { 'lease', now }
`

/**
 * KEYS entry; ARGV variant, token, frame, keep ms, most variants.
 * Stores the frame only if the lease is still there: an invalidation in between took it away, and
 * then what was read may be older than the change.
 */
export const FILL = `${READ}${PRELUDE}
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

local lease = read('HGET', entry, lease_field)
if not lease or holder(lease) ~= token then return 'withdrawn' end
redis.call('HDEL', entry, lease_field)
if is_full() then return 'full' end
redis.call('HSET', entry, variant, frame)
keep_for(keep_ms)
return 'stored'
`

/** KEYS entry; ARGV variant, token. Gives a lease back unused, so that nobody waits for it. */
export const RELEASE = `${READ}${PRELUDE}
local lease = read('HGET', entry, lease_field)
if lease and holder(lease) == token then redis.call('HDEL', entry, lease_field) end
return 0
`

/** KEYS entry; ARGV variant, most bytes. Removes what is larger. */
export const TRIM = `${READ}
local size = read('HSTRLEN', KEYS[1], ARGV[1])
if size and size > tonumber(ARGV[2]) then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
`
