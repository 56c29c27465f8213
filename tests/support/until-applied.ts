import type { Client } from 'pg'
import { includes, parseSnapshot } from '../../db/event-log/index.ts'
import { decodeWatermark, type Redis, watermarkKey } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { until } from './until.ts'

/** Waits until an invalidator has applied all current commits to every resource in this Redis. */
export async function untilApplied(sql: Client, redis: Redis, prefix: string): Promise<void> {
  const { rows } = await sql.query<{ now: string }>('select pg_current_snapshot()::text as now')
  const now = parseSnapshot(rows[0]?.now ?? '')
  await until(async () => {
    const marks = await redis.hgetall(watermarkKey(prefix))
    return catalog.every(({ name }) => {
      const mark = decodeWatermark(marks[name] ?? null)
      return mark !== null && now !== null && includes(mark.snapshot, now)
    })
  })
}
