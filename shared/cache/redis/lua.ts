/**
 * Lua function `read(...)`: runs a command that reads one key. Returns nil if the key has another type:
 * such a value counts as absent, because no script here wrote it. Raises any other error.
 */
export const READ = `
local function read(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then return nil end
  return redis.call(...)
end
`
