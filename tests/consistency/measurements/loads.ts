import { setTimeout as sleep } from 'node:timers/promises'
import { Client as Postgres } from 'pg'
import type { Random } from '../random.ts'
import { createClient } from '../readers/client.ts'
import type { Stage } from '../stage/stage.ts'
import { ENTRIES } from '../world/entries.ts'
import type { Measure } from './overhead.ts'

const FOR_MS = 5_000
const READERS = 12
const WRITE_EVERY_MS = 60
/** A request that waits longer than this for a concurrent load runs its own query and stores nothing. */
const PATIENCE_MS = 1_000
const RESOURCE = 'staff:profile'
const OVERVIEWS = ENTRIES.filter(({ path }) => path.endsWith('/overview'))

/** Checks that each invalidated entry is loaded once, over all processes and concurrent requests. */
export async function measureLoads(stage: Stage, random: Random): Promise<Measure> {
  const { system } = stage
  const client = createClient(system, stage.session)
  const count = async (metric: string) => system.metric(metric, `resource="${RESOURCE}"`)
  const counts = async () => ({
    loads: await count('spms_cache_loads_total'),
    invalidated: await count('spms_invalidated_keys_total'),
  })
  const postgres = new Postgres({ connectionString: stage.writersUrl })
  await postgres.connect()
  const before = await counts()
  const endMs = performance.now() + FOR_MS
  let reads = 0
  let excused = 0
  let writes = 0

  const read = async (random: Random) => {
    while (performance.now() < endMs) {
      const api = random.between(0, client.apis - 1)
      const outcome = await client.get(random.of(OVERVIEWS), { api })
      reads++
      if (!('read' in outcome)) excused++
      else {
        const { cacheStatus, startMs, endMs } = outcome.read
        if (/detail=(freshness|redis)/.test(cacheStatus) || endMs - startMs > PATIENCE_MS) excused++
      }
    }
  }
  const write = async () => {
    while (performance.now() < endMs) {
      await postgres.query('update users_publicstaffprofile set about = $1 where id = $2', [
        `About ${++writes}`,
        random.between(1, OVERVIEWS.length),
      ])
      await sleep(WRITE_EVERY_MS)
    }
  }
  await Promise.all([
    write(),
    ...Array.from({ length: READERS }, (_, n) => read(random.branch(`loads ${n}`))),
  ])
  await postgres.end()
  const after = await counts()
  const [loads, invalidated] = [after.loads - before.loads, after.invalidated - before.invalidated]
  const figures = `${loads} loads of ${OVERVIEWS.length} entries, ${invalidated} invalidations by ${writes} writes, ${reads} reads (${excused} excused)`
  return {
    name: 'loads per invalidation',
    figures,
    violations:
      loads <= OVERVIEWS.length + invalidated + excused
        ? []
        : [{ guarantee: 'G7', what: figures, timeline: [] }],
  }
}
