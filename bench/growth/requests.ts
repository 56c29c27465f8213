import type { PackagedProgram } from '../../scripts/servers/packaged-program.ts'
import { GZIP } from '../arms.ts'
import { createClient } from '../client.ts'
import { profileKey, profilePath } from '../profiles.ts'
import type { Service } from '../service.ts'
import { startWrk } from '../wrk.ts'
import type { Measures } from './grid.ts'
import { type Payers, processorTime } from './processor-time.ts'
import type { World } from './world.ts'

export const REQUEST_MEASURES = {
  'hit, CPU us': 'cost',
  'as hits, %': 'check',
  'miss, CPU us': 'cost',
  'as misses, %': 'check',
} as const satisfies Measures

/** Profiles that one process misses in turn; the eraser is faster than one pass through them. */
const MISSED_PROFILES = 60
const ERASE_EVERY_MS = 20
/** Opens the connections to Postgres, which the pool has closed since their last use. */
const WARM_S = 2

/** Requests each public profile once, so that all are cached. */
export async function warmUp({ profileIds }: World, api: Service): Promise<void> {
  using client = createClient(api.origin)
  for (const id of profileIds) await client.ask(profilePath(id))
}

/**
 * Measures the CPU time of a hit and of a miss while all given processes are saturated. A hit costs
 * time of the API and Redis, a miss also of Postgres.
 */
export async function measureRequests(
  world: World,
  apis: readonly Service[],
  { wrk, seconds }: { readonly wrk: PackagedProgram; readonly seconds: number },
): Promise<Record<keyof typeof REQUEST_MEASURES, number>> {
  const { profileIds, redis, redisPid } = world
  const payers = { pids: [...apis.map(({ pid }) => pid), redisPid] }

  const run = async (
    outcome: string,
    connections: Pick<Payers, 'others'>,
    pathsOf: (i: number) => string[],
  ) => {
    const count = async (labels: Record<string, string>) => {
      const counts = apis.map((api) =>
        api.count('spms_cache_reads_total', { resource: 'staff:profile', ...labels }),
      )
      return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0)
    }
    const load = (forS: number) =>
      Promise.all(
        apis.map(async ({ origin }, i) => {
          const paths = pathsOf(i)
          const options = { wrk, origin, paths, headers: GZIP, seconds: forS, cores: undefined }
          return (await startWrk(options)).perS
        }),
      )
    await load(WARM_S)
    const before = [await count({ outcome }), await count({})] as const
    const { result, ms } = await processorTime({ ...payers, ...connections }, () => load(seconds))
    const requests = result.reduce((sum, perS) => sum + perS * seconds, 0)
    const expected = (await count({ outcome })) - before[0]
    const share = expected / ((await count({})) - before[1])
    return { us: (ms * 1000) / requests, percent: 100 * share }
  }

  const hit = await run('hit', {}, () => profileIds.map(profilePath))
  const missed = apis.map((_, i) =>
    profileIds.slice(i * MISSED_PROFILES, (i + 1) * MISSED_PROFILES),
  )
  const keys = missed.flat().map((id) => profileKey(world.bench.servers.prefix, id))
  const eraser = setInterval(() => void redis.unlink(keys), ERASE_EVERY_MS)
  try {
    const others = () => world.backends('spms-api')
    const miss = await run('miss', { others }, (i) => (missed[i] ?? []).map(profilePath))
    return {
      'hit, CPU us': hit.us,
      'as hits, %': hit.percent,
      'miss, CPU us': miss.us,
      'as misses, %': miss.percent,
    }
  } finally {
    clearInterval(eraser)
  }
}
