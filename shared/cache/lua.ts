/**
 * `read(...)` runs a command that reads one key. Its reply is nil where the key holds another type:
 * such a value is not ours, and counts as absent. Any other error stays an error.
 */
export const READ = `
local function read(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then return nil end
  return redis.call(...)
end
`
