import { CLOCK } from '../redis/clock.ts'
import { LUA_LAYOUT } from './cached-value.ts'
import { GZIP } from './compression.ts'
import { READ } from '../redis/lua.ts'

/**
 * Lua scripts on one entry. An entry is a hash: `variant` -> cached value, `~variant` -> lease. Values
 * and leases share a key, so one UNLINK deletes the values and revokes the lease of every running fill.
 *
 * Times are those of the clock, in milliseconds. A key of another type, or a field that these scripts
 * cannot have written, counts as absent: LEASE overwrites it, and FILL treats its lease as revoked.
 */

/**
 * An entry is full if it holds the bytes of this many values of the largest size, even with few
 * variants.
 */
const LARGEST_VALUES = 8

const PRELUDE = `
local entry, variant, lease_id = KEYS[1], ARGV[1], ARGV[2]
local lease_field = '~' .. variant

-- Extends the expiry of the entry to at least the needed time. A key without expiry gets one.
local function keep_for(needed)
  if redis.call('PTTL', entry) < needed then redis.call('PEXPIRE', entry, needed) end
end

local function holder(lease) return string.match(lease, '^[^:]+') end
local function deadline(lease) return tonumber(string.match(lease, ':(%d+)$')) end
`

/**
 * KEYS: entry, clock. ARGV:
 * 1. variant
 * 2. lease id
 * 3. lease time, in ms
 * 4. oldest acceptable time of the lease of a value
 * 5. most fields of an entry
 * 6. required incarnation, 16 bytes; if it is empty, no value is acceptable
 * 7. longest time to live, in ms
 * 8. most bytes of a value, stored and plain
 * 9. `1` for a reserved variant, which gets a lease even in a full entry
 *
 * Returns a state, the time and the data of the state. `hit`: an acceptable value that exists now.
 * `held`: the id of the current lease. `full`: the entry takes no more variants. `lease`: granted.
 */
export const LEASE = `${CLOCK}${PRELUDE}
local lease_ms, oldest, most_fields = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local incarnation, longest = ARGV[6], tonumber(ARGV[7])
local most_bytes, is_reserved = tonumber(ARGV[8]), ARGV[9] == '1'
local now = clock(KEYS[2], 0)

-- Deletes expired leases. Those of crashed processes would otherwise stay as long as the entry.
local function sweep()
  for _, field in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(field, 1, 1) == '~' then
      local until_ms = deadline(redis.call('HGET', entry, field)) or 0
      if until_ms <= now or until_ms > now + lease_ms then redis.call('HDEL', entry, field) end
    end
  end
end

local size = read('HSTRLEN', entry, variant)
-- nil: the key has another type. No script here wrote it, so it is deleted.
if size == nil then redis.call('UNLINK', entry) end
-- A value above the size limit is not sent. The next load replaces it.
local cached = size and size <= most_bytes and redis.call('HGET', entry, variant)
local format = cached and #cached >= ${LUA_LAYOUT.body} and string.byte(cached)
local is_known = format == ${LUA_LAYOUT.format}
if format == ${LUA_LAYOUT.gzipFormat} and #cached >= ${LUA_LAYOUT.body + GZIP.shortest} then
  local flags, magic = string.byte(cached, 2), string.sub(cached, ${LUA_LAYOUT.body + 1}, ${LUA_LAYOUT.body + GZIP.magic.length})
  -- The last bytes of gzip are its plain length.
  local length = struct.unpack('<I4', cached, #cached - 3)
  is_known = flags == 0 and magic == '${GZIP.magic.map((byte) => `\\${byte}`).join('')}' and ${LUA_LAYOUT.body} + length <= most_bytes
end
if is_known then
  local leased_at, fresh_until = struct.unpack('>dd', cached, ${LUA_LAYOUT.times})
  local is_current_incarnation = string.sub(cached, ${LUA_LAYOUT.incarnation}, ${LUA_LAYOUT.incarnationEnd}) == incarnation
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
 * KEYS: entry. ARGV: variant, lease id, cached value, time to keep in ms, most variants, most bytes of
 * one value, reserved variants. Each reserved variant is followed by a line feed.
 *
 * Stores the value only if the lease still exists. An invalidation since then has revoked it, and the
 * loaded data may be older than the change. A full entry evicts other variants, except reserved ones.
 */
export const FILL = `${READ}${PRELUDE}
local cached, keep_ms, most_variants = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local most_bytes, reserved = tonumber(ARGV[6]), '\\n' .. ARGV[7]
local most_entry_bytes = ${LARGEST_VALUES} * most_bytes

-- Counts variants one by one only if there may be too many of them, or too many bytes. Leases are
-- not counted.
local function make_room()
  local fields = redis.call('HLEN', entry)
  -- Fewer than LARGEST_VALUES values cannot exceed the limit of bytes.
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
  while stored >= most_variants or bytes > most_entry_bytes do
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

/** KEYS: entry. ARGV: variant, lease id. Releases an unused lease, so that no reader waits for it. */
export const RELEASE = `${READ}${PRELUDE}
local lease = read('HGET', entry, lease_field)
if lease and holder(lease) == lease_id then redis.call('HDEL', entry, lease_field) end
return 0
`

/**
 * KEYS: entry. ARGV: variant, most bytes. Returns the value, or an empty string if it is too large.
 */
export const FIND = `${READ}
local size = read('HSTRLEN', KEYS[1], ARGV[1])
if size and size > tonumber(ARGV[2]) then return '' end
return read('HGET', KEYS[1], ARGV[1])
`
