import { readStatus } from '../../db/event-log/index.ts'
import {
  inEachBucket,
  ageMsOf,
  decodeWatermark,
  DISABLED,
  type InvalidationStore,
  type InvalidationStores,
} from '../../shared/cache/index.ts'
import type { ExaminedApplication } from './application.ts'
import { type Finding, wrong } from './finding.ts'

/** Checks that an invalidator is connected. */
export async function checkInvalidator(
  databaseUrl: string,
  { sessionPrefix }: Pick<ExaminedApplication, 'sessionPrefix'>,
): Promise<Finding[]> {
  const { sessions, events } = await readStatus(databaseUrl, { sessionPrefix })
  return sessions.length > 0 ? [] : [noInvalidator(`the log grows (${events} events)`)]
}

export const noInvalidator = (log: string): Finding =>
  wrong(
    'no invalidator is running',
    `nothing is invalidated, so few reads are hits; ${log}`,
    'start an invalidator, or read in its log why it cannot connect',
  )

/**
 * Checks that each resource has a recent watermark of this incarnation in each bucket, and that it may be
 * read from there.
 */
export async function checkWatermarks(
  stores: Pick<InvalidationStores, 'count' | 'at'>,
  maxStalenessMs: number,
  incarnation: string | null,
  application: Pick<ExaminedApplication, 'catalog' | 'installCommand'>,
): Promise<Finding[]> {
  const found = await Promise.allSettled(
    inEachBucket(stores, async (bucket) =>
      checkBucket(stores.at(bucket), maxStalenessMs, incarnation, application),
    ),
  )
  // A bucket without a server is a finding of its own.
  if (stores.count === 1 && found[0]?.status === 'rejected') throw found[0].reason
  const findings = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  return [...new Map(findings.map((one) => [one.what.replace(/\d+ s old/, 'old'), one])).values()]
}

async function checkBucket(
  invalidationStore: Pick<InvalidationStore, 'time' | 'read'>,
  maxStalenessMs: number,
  incarnation: string | null,
  { catalog, installCommand }: Pick<ExaminedApplication, 'catalog' | 'installCommand'>,
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
        'its values are loaded from Postgres repeatedly, because it is unknown which of them changed',
        'start an invalidator with this REDIS_URL and CACHE_PREFIX',
      )
    }
    if (mark.incarnation !== incarnation) {
      return wrong(
        `${name} is invalidated for another database`,
        'the invalidator of this database skips it, so its values are loaded from Postgres repeatedly',
        'give each of the two databases its own CACHE_PREFIX or its own Redis',
      )
    }
    if (mark.keyVersion !== DISABLED) return []
    return wrong(
      `reading ${name} from the cache is disabled`,
      'the invalidator found that the event log may miss changes of its tables',
      `fix the findings about its tables, then ${installCommand}`,
    )
  })
}
