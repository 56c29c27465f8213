import type { Redis } from './redis.ts'

/** How full a Redis is. */
export interface RedisUsage {
  readonly usedBytes: number
  /** 0: as much as the machine has. */
  readonly maxBytes: number
  /** Entries that had to make room since it was started. */
  readonly evictedKeys: number
}

/** Asks a Redis how full it is. */
export async function findRedisUsage(redis: Redis): Promise<RedisUsage> {
  const [memory, stats] = await Promise.all([redis.info('memory'), redis.info('stats')])
  return {
    usedBytes: numberIn(memory, 'used_memory'),
    maxBytes: numberIn(memory, 'maxmemory'),
    evictedKeys: numberIn(stats, 'evicted_keys'),
  }
}

function numberIn(info: string, field: string): number {
  const found = new RegExp(`^${field}:(\\d+)`, 'm').exec(info)
  if (!found) throw new Error(`Redis does not tell its ${field}`)
  return Number(found[1])
}
