import { randomUUID } from 'node:crypto'
import type { Redis } from './redis.ts'
import { identityKey } from '../definition/key.ts'

/**
 * Returns a function that reads the identity of this Redis. It is stored in Redis, so all clients read
 * the same one at any address. If none is stored, as in an emptied Redis, a new identity is stored.
 *
 * The identity is bound to the `run_id` of the server. So a Redis that was filled from another one's
 * files gets a new identity, also after each restart. Without permission for INFO `run_id` is ignored.
 */
export function createIdentityReader(redis: Redis, prefix: string): () => Promise<string> {
  redis.defineCommand('cacheIdentify', { lua: IDENTIFY, numberOfKeys: 1 })
  const scripted = redis as unknown as Scripted
  const key = identityKey(prefix)

  return async () => {
    const runId = await redis.info('server').then(
      (info) => /^run_id:(\w+)/m.exec(info)?.[1] ?? '',
      () => '',
    )
    return scripted.cacheIdentify(key, randomUUID(), runId)
  }
}

/** KEYS: identity. ARGV: a new identity, and the run_id of this server or an empty string. */
const IDENTIFY = `
local stored = redis.pcall('GET', KEYS[1])
local id, server
if type(stored) == 'string' then id, server = string.match(stored, '^([%x-]+) (%w*)$') end
if id and (ARGV[2] == '' or server == ARGV[2]) then return id end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return ARGV[1]
`

interface Scripted {
  cacheIdentify(key: string, fresh: string, runId: string): Promise<string>
}
