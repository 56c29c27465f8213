import { setTimeout as sleep } from 'node:timers/promises'
import { type ClockedRedis, startClockedRedis } from '../../support/clocked-redis.ts'
import type { Fault, Recover, Scene } from './fault.ts'
import { follow, goBack, onRedis } from './redis.ts'

const TEN_MINUTES_MS = 600_000
/** Time for the system to reuse stored values before the step, in ms. */
const SETTLED_MS = 500

/**
 * Steps of the clock of Redis while no invalidator runs. By that clock, values then seem younger than
 * they are.
 */
export const CLOCK_FAULTS: readonly Fault[] = [
  // A step so small that the clock passes the moment of the step again before the invalidator starts.
  step('redis-clock-back', 9_000, (redis) => redis.stepTo(-5_000)),
  step('redis-clock-far-back', 6_000, (redis) => redis.stepTo(-TEN_MINUTES_MS)),
  // Values that are stored while the clock is ahead are later from the future.
  step('redis-clock-ahead-and-back', 6_000, async (redis) => {
    await redis.stepTo(TEN_MINUTES_MS)
    await sleep(3_000)
    await redis.stepTo(0)
  }),
]

function step(name: string, holdMs: number, set: (redis: ClockedRedis) => Promise<void>): Fault {
  return {
    name,
    takes: 'redis',
    holdMs,
    isForLongRuns: true,
    async inject(scene): Promise<Recover> {
      const redis = await moveToClocked(scene)
      await sleep(SETTLED_MS)
      const { invalidator } = scene.stage.system
      await invalidator.kill()
      await set(redis)
      return async () => {
        await redis.stepTo(0)
        await invalidator.start()
      }
    },
  }
}

/** Moves all services to a Redis with a clock of its own and the data of the previous one. */
async function moveToClocked({ stage, ...scene }: Scene): Promise<ClockedRedis> {
  const redis = stage.own(await startClockedRedis())
  await follow(redis.url, stage.redis.url)
  await onRedis(redis.url, (client) => client.replicaof('NO', 'ONE'))
  const span = goBack(scene)
  const old = stage.redis
  stage.replaceRedis(redis)
  await span.isOver()
  await old.stop()
  return redis
}
