import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { untilApplied } from '../applied.ts'
import type { Part } from '../bench.ts'
import { shown } from '../figure.ts'
import { startInvalidator } from '../invalidator.ts'
import { quantile } from '../statistics.ts'
import { table } from '../table.ts'
import { openTracking } from '../tracking.ts'
import { fillEntries, findEntries } from './entries.ts'

/** The edited business area is the one that affects about this number of entries. */
const WANTED_ENTRIES = 320
const LOST_MS = 10_000

/** Measures the time from an edit of one row until all affected entries are deleted. */
export const edit: Part = async (bench) => {
  const { servers, quick, print } = bench
  const invalidator = await startInvalidator(bench)
  const entries = await findEntries(servers)
  const gone = new Map<string, number>()
  using tracking = await openTracking({
    redisUrl: servers.redisUrl,
    keysFrom: `${servers.prefix}/`,
    onChange(key, atMs) {
      if (entries.has(key)) gone.set(key, atMs)
    },
  })
  const writer = new Client({ connectionString: servers.databaseUrl })
  await writer.connect()

  async function refill(keys: Iterable<string>): Promise<void> {
    await fillEntries(tracking.redis, keys)
    gone.clear()
  }

  /** Renames an area, or restores its name. Returns the time of the commit. */
  async function rename(id: string): Promise<number> {
    await writer.query(
      `update agencies_businessarea
       set name = case when name like '%.' then left(name, -1) else name || '.' end where id = $1`,
      [id],
    )
    return performance.now()
  }

  try {
    // A new invalidator first flushes everything. The edits of all areas warm it up.
    await untilApplied(servers)
    await refill(entries.keys())
    const areas = await writer.query<{ id: string }>('select id from agencies_businessarea')
    const touched = new Map<string, ReadonlySet<string>>()
    for (const { id } of areas.rows) {
      await rename(id)
      await untilApplied(servers)
      touched.set(id, new Set(gone.keys()))
      await refill(gone.keys())
    }
    const [id, affected] = [...touched].toSorted(
      ([, a], [, b]) => Math.abs(a.size - WANTED_ENTRIES) - Math.abs(b.size - WANTED_ENTRIES),
    )[0] as [string, ReadonlySet<string>]

    const found: number[] = []
    for (let round = 0; round < (quick ? 10 : 100); round++) {
      const committedMs = await rename(id)
      while (![...affected].every((key) => gone.has(key))) {
        if (performance.now() - committedMs > LOST_MS)
          throw new Error(`stale entries still exist after ${LOST_MS} ms`)
        await sleep(5)
      }
      found.push(Math.max(...gone.values()) - committedMs)
      await refill(gone.keys())
    }

    const resources = new Set([...affected].map((key) => entries.get(key)))
    print(
      table(
        ['edit of a business area', 'entries', 'of resources', 'p50 ms', 'p95 ms', 'max ms'],
        [
          [
            'commit -> last entry deleted',
            `${affected.size}`,
            `${resources.size}`,
            ...[0.5, 0.95, 1].map((share) => shown(quantile(found, share))),
          ],
        ],
      ),
    )
    return [
      {
        what: `commit -> last of ${affected.size} entries of ${resources.size} resources deleted, p95`,
        value: quantile(found, 0.95),
        unit: 'ms',
        budget: { atMost: 50 },
      },
    ]
  } finally {
    await writer.end()
    await invalidator.stop()
  }
}
