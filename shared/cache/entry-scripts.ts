import { CLOCK } from './clock.ts'
import { LUA_OFFSETS } from './cached-value.ts'
import { READ } from './lua.ts'

/**
 * The scripts on one entry. An entry is one hash: `variant` -> frame, `~variant` -> lease. Values
 * and the permissions to fill them share a key, so that one UNLINK forgets the values and withdraws
 * every fill in flight.
 *
 * Time is that of the clock, in milliseconds. A key of another type, or a field that no script of ours
 * can have written, counts as absent: a lease replaces it, a fill finds its lease withdrawn.
 */

/** So many values of the largest size make an entry full, however few of its variants they are. */
const LARGEST_VALUES = 8

const PRELUDE = `
local entry, variant, lease_id = KEYS[1], ARGV[1], ARGV[2]
local lease_field = '~' .. variant

-- The larger of what is left and what is needed; a key without expiry counts as 0.
local function keep_for(needed)
  if redis.call('PTTL', entry) < needed then redis.call('PEXPIRE', entry, needed) end
end

local function holder(lease) return string.match(lease, '^[^:]+') end
local function deadline(lease) return tonumber(string.match(lease, ':(%d+)$')) end
`

/**
 * KEYS entry, clock; ARGV variant, lease id, lease ms, oldest acceptable leased-at, most fields, the 16
 * bytes of the incarnation that a value must be of (none will do: empty), longest time to live in
 * ms, the most bytes that a value may have, and `1` for a variant with a reserved place, which the
 * most fields do not keep out.
 * Returns an acceptable value that has appeared (`hit`), or who holds the lease (`held`), or that
 * the entry takes no more variants (`full`), or the lease itself (`lease`); and the time.
 */
export const LEASE = `${CLOCK}${PRELUDE}
local lease_ms, oldest, most_fields = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local incarnation, longest = ARGV[6], tonumber(ARGV[7])
local most_bytes, is_reserved = tonumber(ARGV[8]), ARGV[9] == '1'
local now = clock(KEYS[2], 0)

-- Leases of processes that died stay as long as the entry does.
local function sweep()
  for _, field in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(field, 1, 1) == '~' then
      local until_ms = deadline(redis.call('HGET', entry, field)) or 0
      if until_ms <= now or until_ms > now + lease_ms then redis.call('HDEL', entry, field) end
    end
  end
end

-- A value that is too large is not sent, and what is loaded replaces it.
local size = read('HSTRLEN', entry, variant)
if size == nil then redis.call('UNLINK', entry) end
local cached = size and size <= most_bytes and redis.call('HGET', entry, variant)
if cached and #cached >= ${LUA_OFFSETS.shortest} and string.byte(cached) == ${LUA_OFFSETS.format} then
  local leased_at, fresh_until = struct.unpack('>dd', cached, ${LUA_OFFSETS.times})
  local is_current_incarnation = string.sub(cached, ${LUA_OFFSETS.incarnation}, ${LUA_OFFSETS.incarnationEnd}) == incarnation
  local can_be = leased_at <= now and fresh_until <= leased_at + longest
  if is_current_incarnation and can_be and fresh_until > now and leased_at >= oldest then
    return { 'hit', now, cached }
  end
end

local lease = redis.call('HGET', entry, lease_field)
local until_ms = lease and holder(lease) and deadline(lease) or 0
if until_ms > now and until_ms <= now + lease_ms then
  return { 'held', now, holder(lease) }
end
if not lease and not is_reserved and redis.call('HLEN', entry) >= most_fields then
  sweep()
  if redis.call('HLEN', entry) >= most_fields then return { 'full', now } end
end

redis.call('HSET', entry, lease_field, lease_id .. ':' .. string.format('%.0f', now + lease_ms))
keep_for(lease_ms)
return { 'lease', now }
`

/**
 * KEYS entry; ARGV variant, lease id, frame, keep ms, most variants, the most bytes of one, and the
 * variants with a reserved place, each followed by a line feed.
 * Stores the frame only if the lease is still there: an invalidation in between took it away, and
 * then what was read may be older than the change. Where there is no room others make room for it,
 * any but the reserved ones.
 */
export const FILL = `${READ}${PRELUDE}
local cached, keep_ms, most_variants = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local value_bytes, reserved = tonumber(ARGV[6]), '\\n' .. ARGV[7]
local most_bytes = ${LARGEST_VALUES} * value_bytes

-- Looked at one by one only where there may be too many, or too much of them. What others have
-- leased is not stored.
local function make_room()
  local fields = redis.call('HLEN', entry)
  if fields < most_variants and fields < ${LARGEST_VALUES} then return true end
  local stored, bytes, others = 0, #cached, {}
  for _, field in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(field, 1, 1) ~= '~' and field ~= variant then
      stored = stored + 1
      bytes = bytes + redis.call('HSTRLEN', entry, field)
      if not string.find(reserved, '\\n' .. field .. '\\n', 1, true) then table.insert(others, field) end
    end
  end
  local pick = redis.call('TIME')[2]
  while stored >= most_variants or bytes > most_bytes do
    if #others == 0 then return false end
    local other = table.remove(others, pick % #others + 1)
    stored = stored - 1
    bytes = bytes - redis.call('HSTRLEN', entry, other)
    redis.call('HDEL', entry, other)
  end
  return true
end

local lease = read('HGET', entry, lease_field)
if not lease or holder(lease) ~= lease_id then return 'revoked' end
redis.call('HDEL', entry, lease_field)
if not make_room() then return 'full' end
redis.call('HSET', entry, variant, cached)
keep_for(keep_ms)
return 'stored'
`

/** KEYS entry; ARGV variant, lease id. Gives a lease back unused, so that nobody waits for it. */
export const RELEASE = `${READ}${PRELUDE}
local lease = read('HGET', entry, lease_field)
if lease and holder(lease) == lease_id then redis.call('HDEL', entry, lease_field) end
return 0
`

/** KEYS entry; ARGV variant, most bytes. The value; an empty one where it is too large to be sent. */
export const FIND = `${READ}
local size = read('HSTRLEN', KEYS[1], ARGV[1])
if size and size > tonumber(ARGV[2]) then return '' end
return read('HGET', KEYS[1], ARGV[1])
`
