import type { Redis } from './redis.ts'

/** Memory use and evictions of a Redis. */
export interface RedisUsage {
  readonly usedBytes: number
  /** 0: no limit but the memory of the machine. */
  readonly maxBytes: number
  /** Keys that were evicted since the server started. */
  readonly evictedKeys: number
}

/** Returns the use of all servers together. A cluster without a limit on one of them has none. */
export async function findRedisUsage(servers: readonly Redis[]): Promise<RedisUsage> {
  const found = await Promise.all(servers.map(usageOf))
  const sum = (field: keyof RedisUsage) => found.reduce((total, one) => total + one[field], 0)
  return {
    usedBytes: sum('usedBytes'),
    maxBytes: found.some(({ maxBytes }) => maxBytes === 0) ? 0 : sum('maxBytes'),
    evictedKeys: sum('evictedKeys'),
  }
}

async function usageOf(redis: Redis): Promise<RedisUsage> {
  const [memory, stats] = await Promise.all([redis.info('memory'), redis.info('stats')])
  return {
    usedBytes: numberIn(memory, 'used_memory'),
    maxBytes: numberIn(memory, 'maxmemory'),
    evictedKeys: numberIn(stats, 'evicted_keys'),
  }
}

function numberIn(info: string, field: string): number {
  const found = new RegExp(`^${field}:(\\d+)`, 'm').exec(info)
  if (!found) throw new Error(`INFO of Redis lacks ${field}`)
  return Number(found[1])
}
