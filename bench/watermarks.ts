import type { Redis } from 'ioredis'
import { decodeWatermark, type Watermark, watermarkKey } from '../shared/cache/index.ts'
import { catalog } from '../shared/resources/index.ts'

/** Returns the watermark of each resource; null if there is none. */
export async function readWatermarks(redis: Redis, prefix: string): Promise<(Watermark | null)[]> {
  const stored = await redis.hgetall(watermarkKey(prefix))
  return catalog.map(({ name }) => decodeWatermark(stored[name] ?? null))
}
