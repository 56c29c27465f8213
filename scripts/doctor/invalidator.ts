import { readStatus } from '../../db/event-log/status.ts'
import type { InvalidationStore } from '../../shared/cache/invalidation-store.ts'
import { ageMsOf, decodeWatermark, DISABLED } from '../../shared/cache/watermark.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type Finding, wrong } from './finding.ts'

/** Whether anybody invalidates at all. */
export async function checkInvalidator(databaseUrl: string): Promise<Finding[]> {
  const { sessions, events } = await readStatus(databaseUrl)
  if (sessions.length > 0) return []
  return [
    wrong(
      'no invalidator is running',
      `nothing is invalidated, so little is served from the cache; the log grows (${events} events)`,
      'start it, or find out why it does not connect: its log says so',
    ),
  ]
}

/** Whether each resource moves on at this Redis in this life of the database, and may be read from it. */
export async function checkWatermarks(
  invalidationStore: Pick<InvalidationStore, 'time' | 'read'>,
  maxStalenessMs: number,
  incarnation: string | null,
): Promise<Finding[]> {
  const nowMs = await invalidationStore.time()
  const marks = await Promise.all(
    catalog.map(async ({ name }) => ({
      name,
      mark: decodeWatermark(await invalidationStore.read(name)),
    })),
  )
  return marks.flatMap(({ name, mark }) => {
    if (mark === null || ageMsOf(mark, nowMs) > maxStalenessMs) {
      return wrong(
        mark === null
          ? `${name} has no watermark`
          : mark.asOfMs > nowMs
            ? `the watermark of ${name} is from the future`
            : `the watermark of ${name} is ${Math.round((nowMs - mark.asOfMs) / 1000)} s old`,
        'what is cached of it is loaded anew again and again, since nobody knows what changed',
        'start an invalidator with this REDIS_URL and CACHE_PREFIX',
      )
    }
    if (mark.incarnation !== incarnation) {
      return wrong(
        `${name} is invalidated for another database`,
        'the invalidator of this one leaves it alone, so what is cached is loaded anew again and again',
        'give each of the two a CACHE_PREFIX or a Redis of its own',
      )
    }
    if (mark.keyVersion !== DISABLED) return []
    return wrong(
      `${name} is not to be read from the cache`,
      'the invalidator found that changes of its tables may go unlogged',
      'npm run spms -- install, after what is said about its tables was put right',
    )
  })
}
