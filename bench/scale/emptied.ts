import { stateDir } from '../../scripts/paths.ts'
import { startRedis } from '../../scripts/servers/redis.ts'
import { Redis } from 'ioredis'
import { startApi } from '../api.ts'
import { untilApplied } from '../applied.ts'
import type { Bench, Part } from '../bench.ts'
import { createClient } from '../client.ts'
import { shown } from '../figure.ts'
import { startInvalidator } from '../invalidator.ts'
import { openLoop } from '../open-loop.ts'
import { findProfiles, profilePath, projectsPath } from '../profiles.ts'
import { quantile, seededRandom, shuffled } from '../statistics.ts'
import { table } from '../table.ts'
import { zipf } from '../zipf.ts'

const PER_S = 300
const BEFORE_S = 5
/** Time in which the empty Redis fills again. */
const FIRST_S = 3

/** Measures a loaded API while Redis loses all its keys. */
export const emptied: Part = async (bench) => {
  const { quick, print, onStop, servers } = bench
  const afterS = quick ? 5 : 20
  // Its own Redis, because this part deletes all keys.
  const redis = await startRedis({ stateDir, env: process.env, print })
  onStop(() => redis.stop())
  const own: Bench = { ...bench, servers: { ...servers, redisUrl: redis.url } }
  const invalidator = await startInvalidator(own)
  await untilApplied(own.servers)
  const api = await startApi(own, true)
  const commands = new Redis(redis.url)
  using client = createClient(api.origin)

  const random = seededRandom(5)
  const paths = shuffled(
    (await findProfiles(servers.databaseUrl)).flatMap(({ id, userId }) => [
      profilePath(id),
      projectsPath(userId),
    ]),
    random,
  )
  const pick = zipf(paths, random)
  const countLoads = () => api.count('spms_cache_loads_total')
  for (const path of paths) await client.ask(path)
  const warmed = await countLoads()

  print(`scale: ${PER_S} requests a second while Redis is emptied`)
  const [emptyAt, calmAt] = [BEFORE_S * PER_S, (BEFORE_S + FIRST_S) * PER_S]
  const requested = new Set<string>()
  const errors: string[] = []
  const ms = await openLoop({ perS: PER_S, seconds: BEFORE_S + FIRST_S + afterS }, async (i) => {
    const path = pick()
    if (i === emptyAt) await commands.flushall()
    if (i >= emptyAt) requested.add(path)
    // A failed request counts too, so that the indexes of the latencies match the time.
    await client.ask(path).catch((error: unknown) => errors.push(String(error)))
  })
  const loads = (await countLoads()) - warmed
  commands.disconnect()
  await api.stop()
  await invalidator.stop()
  await redis.stop()

  const phases: [string, readonly number[]][] = [
    ['before', ms.slice(0, emptyAt)],
    [`in the first ${FIRST_S} s`, ms.slice(emptyAt, calmAt)],
    ['after', ms.slice(calmAt)],
  ]
  print(
    table(
      ['Redis emptied, ms', 'p50', 'p99', 'max', 'requests'],
      phases.map(([name, found]) => [
        name,
        ...[0.5, 0.99, 1].map((share) => shown(quantile(found, share))),
        `${found.length}`,
      ]),
    ),
  )
  const reloaded = `${loads} loads of ${requested.size} entries that were requested again`
  print(`scale: ${reloaded}, ${errors.length} errors${errors.length > 0 ? `: ${errors[0]}` : ''}`)
  return [
    {
      what: `Redis emptied, p99 in the first ${FIRST_S} s`,
      value: quantile(phases[1]?.[1] ?? [], 0.99),
      unit: 'ms',
      budget: null,
      note: `${shown(quantile(phases[0]?.[1] ?? [], 0.99))} before`,
    },
    {
      what: 'Redis emptied, loads per entry',
      value: loads / requested.size,
      unit: '',
      budget: { atMost: 2 },
    },
    { what: 'Redis emptied, errors', value: errors.length, unit: '', budget: { atMost: 0 } },
  ]
}
