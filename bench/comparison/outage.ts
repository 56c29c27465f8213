import { setTimeout as sleep } from 'node:timers/promises'
import { stateDir } from '../../scripts/paths.ts'
import { startRedis } from '../../scripts/servers/redis.ts'
import { untilApplied } from '../applied.ts'
import type { Bench } from '../bench.ts'
import { createClient } from '../client.ts'
import { openLoop } from '../open-loop.ts'
import { profilePath } from '../profiles.ts'
import { createStops } from '../stops.ts'
import { OURS, type System } from './systems.ts'

/** The requests of one phase. */
export interface Phase {
  readonly requests: number
  /** Requests that got an error or another status than 200. */
  readonly failed: number
  /** Requests without an answer within 5 s. */
  readonly unanswered: number
  /** Milliseconds until the other requests were answered. */
  readonly ms: readonly number[]
}

export interface Outage {
  readonly before: Phase
  readonly without: Phase
  readonly restarted: Phase
}

const PER_S = 100
const GIVE_UP_MS = 5_000

type Outcome = 'answered' | 'failed' | 'unanswered'

/**
 * Sends requests for profiles to a system with its own Redis, half of which are cached. Kills Redis
 * meanwhile, and starts it again.
 */
export async function measureOutage(
  bench: Bench,
  system: System,
  ids: readonly string[],
): Promise<Outage> {
  const { quick, print } = bench
  const phaseS = quick ? 3 : 10
  await using stops = createStops()
  const { onStop } = stops
  let redis = await startRedis({ stateDir, env: process.env, print })
  onStop(() => redis.stop())
  const own: Bench = { ...bench, servers: { ...bench.servers, redisUrl: redis.url }, onStop }
  await system.prepare(own)
  if (system === OURS) await untilApplied(own.servers)
  const service = await system.start(own)
  using client = createClient(service.origin)
  const paths = ids.map(profilePath)
  // Twice, because a system may store a value after it has answered.
  for (const path of [...half(paths), ...half(paths)]) await client.ask(path)

  const outcomes: Outcome[] = []
  const [killAt, restartAt] = [phaseS * PER_S, 2 * phaseS * PER_S]
  let restarting: Promise<unknown> = Promise.resolve()
  const ms = await openLoop({ perS: PER_S, seconds: 3 * phaseS }, async (i) => {
    if (i === killAt) void redis.kill()
    if (i === restartAt) {
      restarting = startRedis({ stateDir, env: process.env, print, port: redis.port }).then(
        (fresh) => (redis = fresh),
      )
      restarting.catch(() => {})
    }
    const asked = client.ask(paths[i % paths.length] as string).then(
      (): Outcome => 'answered',
      (): Outcome => 'failed',
    )
    const gaveUp = sleep(GIVE_UP_MS, 'unanswered' as const, { ref: false })
    outcomes[i] = await Promise.race([asked, gaveUp])
  })
  await restarting

  const phase = (from: number, to: number): Phase => {
    const part = outcomes.slice(from, to)
    const countOf = (outcome: Outcome) => part.filter((one) => one === outcome).length
    return {
      requests: part.length,
      failed: countOf('failed'),
      unanswered: countOf('unanswered'),
      ms: ms.slice(from, to).filter((_, i) => part[i] === 'answered'),
    }
  }
  return {
    before: phase(0, killAt),
    without: phase(killAt, restartAt),
    restarted: phase(restartAt, outcomes.length),
  }
}

const half = (paths: readonly string[]) => paths.slice(0, paths.length / 2)
