import { randomUUID } from 'node:crypto'
import { identityKey } from '../definition/key.ts'
import type { Buckets } from './buckets.ts'
import type { Redis } from './redis.ts'
import { isWrongType } from './replies.ts'

/**
 * Returns a function that reads the identity of this Redis. It is stored in Redis, so all clients read
 * the same one at any address. If none is stored, as in an emptied Redis, a new identity is stored.
 *
 * The identity is bound to the ids of the servers: the `run_id` of a single one, the nodes of a cluster. So
 * a Redis that was filled from another one's files gets a new identity, and a single server also after each
 * restart. A cluster keeps it as long as one of its nodes stays. Without permission for INFO `run_id` is
 * ignored.
 *
 * In a cluster each bucket stores it, so that it outlives the loss of a server. The lowest available bucket
 * decides: processes that begin an identity at the same time agree there.
 */
export function createIdentityReader(buckets: Buckets): () => Promise<string> {
  const keyOf = (bucket: number) => identityKey(buckets.prefixOf(bucket))
  const numbers = Array.from({ length: buckets.count }, (_, bucket) => bucket)

  /** Returns the identity that a bucket stores after this: a valid one, or the given one. */
  const identify = (bucket: number, redis: Redis, id: string, servers: string): Promise<string> =>
    scriptedOf(redis).cacheIdentify(keyOf(bucket), id, servers)

  /** Returns what a bucket stores; null also if it is a value of another type, which `identify` replaces. */
  const storedIn = (bucket: number, redis: Redis): Promise<string | null> =>
    redis.get(keyOf(bucket)).catch((error: unknown) => {
      if (isWrongType(error)) return null
      throw error
    })

  async function readInCluster(servers: readonly string[]): Promise<string> {
    const available = numbers.flatMap((bucket) => {
      const redis = buckets.connectionOf(bucket)
      return redis?.status === 'ready' ? [{ bucket, redis }] : []
    })
    const [first, ...others] = available
    if (first === undefined) throw new Error('no bucket is available')
    const stored = await storedIn(first.bucket, first.redis)
    if (isBoundTo(stored, servers)) return idOf(stored)
    const elsewhere = await Promise.all(
      others.map(({ bucket, redis }) => storedIn(bucket, redis).catch(() => null)),
    )
    const known = elsewhere.find((text) => isBoundTo(text, servers))
    const list = servers.join()
    const id = await identify(
      first.bucket,
      first.redis,
      known === undefined ? randomUUID() : idOf(known),
      list,
    )
    await Promise.allSettled(others.map(({ bucket, redis }) => identify(bucket, redis, id, list)))
    return id
  }

  return async () => {
    const servers = await buckets.serverIds()
    if (buckets.count > 1) return readInCluster(servers)
    const redis = buckets.connectionOf(0) as Redis
    return identify(0, redis, randomUUID(), servers.join())
  }
}

/** A stored identity: the id, and the ids of the servers that it is bound to. */
const STORED = /^([\da-f-]+) ([\w,]*)$/

const idOf = (text: string | null | undefined): string => STORED.exec(text ?? '')?.[1] ?? ''

const isBoundTo = (text: string | null, servers: readonly string[]): boolean => {
  const bound = STORED.exec(text ?? '')?.[2]
  return (
    bound !== undefined &&
    (servers.length === 0 || bound.split(',').some((one) => servers.includes(one)))
  )
}

/**
 * KEYS: identity. ARGV: the id to store if there is none for these servers, and their ids, separated by
 * commas, or an empty string.
 */
const IDENTIFY = `
local stored = redis.pcall('GET', KEYS[1])
local id, bound
if type(stored) == 'string' then id, bound = string.match(stored, '^([%x-]+) ([%w,]*)$') end
local valid = id and ARGV[2] == ''
if id and not valid then
  for server in string.gmatch(ARGV[2], '[^,]+') do
    if string.find(',' .. bound .. ',', ',' .. server .. ',', 1, true) then valid = true end
  end
end
if not valid then id = ARGV[1] end
if not valid or (ARGV[2] ~= '' and bound ~= ARGV[2]) then
  redis.call('SET', KEYS[1], id .. ' ' .. ARGV[2])
end
return id
`

interface Scripted {
  cacheIdentify(key: string, fresh: string, servers: string): Promise<string>
}

function scriptedOf(redis: Redis): Scripted {
  if (!('cacheIdentify' in redis)) {
    redis.defineCommand('cacheIdentify', { lua: IDENTIFY, numberOfKeys: 1 })
  }
  return redis as unknown as Scripted
}
