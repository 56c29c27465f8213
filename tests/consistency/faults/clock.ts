import { setTimeout as sleep } from 'node:timers/promises'
import { type ClockedRedis, startClockedRedis } from '../../support/clocked-redis.ts'
import type { Fault, Recover, Scene } from './fault.ts'
import { follow, goBack, onRedis } from './redis.ts'

const MINUTES_MS = 600_000
/** Until what was there before the step has been used once more, or would have been. */
const SETTLED_MS = 500

/**
 * The clock of Redis is set while nobody invalidates, so that whatever is as old as its age says by
 * that clock is older in truth.
 */
export const CLOCK_FAULTS: readonly Fault[] = [
  // So near that the clock comes by the moment of the step for a second time while nobody invalidates.
  step('redis-clock-back', 9_000, (redis) => redis.stepTo(-5_000)),
  step('redis-clock-far-back', 6_000, (redis) => redis.stepTo(-MINUTES_MS)),
  // What is stored while it is ahead is from the future once it is right again.
  step('redis-clock-ahead-and-back', 6_000, async (redis) => {
    await redis.stepTo(MINUTES_MS)
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

/** Everybody goes over to a Redis with a clock of its own, which has what the one before had. */
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
