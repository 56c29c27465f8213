import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startPrivateRedis } from '../../support/private-redis.ts'
import { createProxy } from '../../support/chaos-proxy.ts'
import { until } from '../../support/until.ts'
import type { Stage } from '../stage/stage.ts'
import type { Fault, Recover, Scene } from './fault.ts'
import { NOBODY } from './postgres.ts'

const HOLD_MS = 3_000

/** Faults of Redis and of the network to it. */
export const REDIS_FAULTS: readonly Fault[] = [
  {
    name: 'redis-killed',
    takes: 'redis',
    holdMs: 1_000,
    async inject({ stage: { redis }, ...scene }) {
      const span = goBack(scene)
      await redis.stop()
      return async () => {
        await redis.start()
        await span.isOver()
      }
    },
  },
  {
    name: 'redis-stopped',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject({ stage: { redis } }) {
      await redis.freeze()
      return () => redis.thaw()
    },
  },
  {
    name: 'redis-flushed',
    takes: 'redis',
    holdMs: 0,
    async inject({ stage, ...scene }) {
      const span = goBack(scene)
      await onRedis(stage.redis.url, (redis) => redis.flushall())
      return span.isOver
    },
  },
  {
    name: 'redis-from-an-old-file',
    takes: 'redis',
    holdMs: 0,
    // A replica receives the same RDB file that a restart would read.
    async inject({ stage, ...scene }) {
      const copy = stage.own(await startPrivateRedis())
      await follow(copy.url, stage.redis.url)
      await onRedis(copy.url, (redis) => redis.replicaof('NO', 'ONE'))
      await sleep(HOLD_MS)
      const span = goBack(scene)
      await stage.redis.stop()
      stage.replaceRedis(copy)
      return span.isOver
    },
  },
  {
    name: 'redis-failed-over',
    takes: 'redis',
    holdMs: 500,
    // Fails over to a replica that missed the newest writes.
    async inject({ stage, ...scene }) {
      const replica = stage.own(await startPrivateRedis())
      const replication = stage.own(await createProxy(stage.redis.url))
      await replication.listen()
      await follow(replica.url, replication.url)
      await sleep(500)
      replication.lead(NOBODY)
      await sleep(700)
      await onRedis(replica.url, (redis) => redis.replicaof('NO', 'ONE'))
      const span = goBack(scene)
      const old = stage.redis
      stage.replaceRedis(replica)
      return async () => {
        await span.isOver()
        await old.stop()
      }
    },
  },
  ...['volatile-lru', 'noeviction'].map((policy): Fault => ({
    name: `redis-full-${policy}`,
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject({ stage }) {
      await onRedis(stage.redis.url, async (redis) => {
        await redis.config('SET', 'maxmemory-policy', policy)
        const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]
        await redis.config('SET', 'maxmemory', policy === 'noeviction' ? '1mb' : `${Number(used)}`)
      })
      return () =>
        onRedis(stage.redis.url, async (redis) => {
          await redis.config('SET', 'maxmemory', '256mb')
          await redis.config('SET', 'maxmemory-policy', 'volatile-lru')
        })
    },
  })),
  {
    name: 'redis-slow',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject({ stage: { paths } }) {
      const both = [paths.apisToRedis, paths.invalidatorsToRedis]
      for (const path of both) path.delayMs = 200
      return async () => {
        for (const path of both) path.delayMs = 0
      }
    },
  },
  {
    name: 'redis-read-only',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject({ stage }) {
      await onRedis(stage.redis.url, (redis) => redis.replicaof('127.0.0.1', '1'))
      return () =>
        onRedis(stage.redis.url, async (redis) => void (await redis.replicaof('NO', 'ONE')))
    },
  },
  {
    name: 'apis-cut-from-redis',
    takes: 'redis',
    holdMs: HOLD_MS,
    inject: async ({ stage }) => cut(stage, 'apisToRedis'),
  },
  {
    name: 'invalidator-cut-from-redis',
    takes: 'redis',
    holdMs: HOLD_MS,
    inject: async ({ stage }) => cut(stage, 'invalidatorsToRedis'),
  },
  {
    name: 'redis-connections-of-apis-half-open',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject({ stage: { paths } }) {
      paths.apisToRedis.swallow()
      return async () => {}
    },
  },
]

function cut(stage: Stage, name: 'apisToRedis' | 'invalidatorsToRedis'): Recover {
  stage.paths[name].lead(NOBODY)
  return async () => stage.paths[name].lead(stage.redis.url)
}

/** Allows watermarks to go back, until the observer has read them again. */
export function goBack({ allowances, observer }: Pick<Scene, 'allowances' | 'observer'>) {
  const span = allowances.begin('went back')
  return {
    async isOver() {
      await observer.next()
      allowances.end(span)
    },
  }
}

/** Makes a Redis a replica of another, and waits for the initial synchronization. */
export async function follow(url: string, primary: string): Promise<void> {
  const { hostname, port } = new URL(primary)
  await onRedis(url, async (redis) => {
    await redis.replicaof(hostname, port)
    await until(async () => (await redis.info('replication')).includes('master_link_status:up'))
  })
}

export async function onRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url)
  redis.on('error', () => {})
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}
