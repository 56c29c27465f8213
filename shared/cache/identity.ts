import { randomUUID } from 'node:crypto'
import type { Redis } from '../redis.ts'
import { identityKey } from './key.ts'

/**
 * Reads which Redis this is, by what is stored in it: the same for all that reach it, by whatever
 * address. Where nothing is stored, as after it was emptied, it gets a new identity.
 *
 * A Redis that was filled from the files of another one is found by its `run_id` and gets an
 * identity of its own, also after each restart. Without permission for INFO what is stored counts.
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

/** KEYS the identity; ARGV a new one, and the run_id of this server or nothing. */
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
