import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Random } from '../random.ts'
import type { Keys } from '../stage/stage.ts'
import type { Fault, Scene } from './fault.ts'
import { measureLag } from './lag.ts'
import { goBack, onRedis } from './redis.ts'

const ROUNDS = 12
const EVERY_MS = 250
const MANY = 300_000
/** A value as Django's cache stores it. */
const PICKLED = '\x80\x05\x95\x1b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x02id\x94K\x01s.'

/** Other programs that use the same Redis. */
export const FOREIGN_KEY_FAULTS: readonly Fault[] = [
  {
    name: 'redis-shared-with-django',
    takes: 'nothing',
    holdMs: 0,
    // Django's key format is prefix:version:key. Django must find its own values there.
    async inject({ stage, random }) {
      const { prefix } = stage.keys
      const names = ['user', 'project', 'staff'].flatMap((kind) =>
        Array.from({ length: 8 }, (_, n) => [
          `${kind}:${n + 1}:profile`,
          `${kind}:${n + 1}:projects`,
          `${kind}:${n + 1}:detail`,
          `${kind}:profile:${n + 1}`,
        ]).flat(),
      )
      const all = [...names, 'staff:list', 'user:1:me', 'project:stats', 'watermark']
      const failures = new Set<string>()
      await onRedis(stage.redis.url, async (redis) => {
        for (let round = 0; round < ROUNDS; round++) {
          for (const name of random.some(all, 20)) {
            const key = `${prefix}:1:${name}`
            await redis.set(key, PICKLED, 'EX', 300)
            await redis.get(key).catch((error: unknown) => failures.add(`${key}: ${String(error)}`))
          }
          await sleep(EVERY_MS)
        }
        await redis.unlink(...all.map((name) => `${prefix}:1:${name}`))
      })
      return async () =>
        failures.size === 0
          ? []
          : [
              {
                guarantee: 'G6',
                what: 'a key of Django has a value of this system',
                timeline: [...failures],
              },
            ]
    },
  },
  {
    name: 'redis-wrong-types',
    takes: 'nothing',
    holdMs: 0,
    inject: (scene) => spoil(scene, wrongType),
  },
  {
    name: 'redis-wrong-values',
    takes: 'nothing',
    holdMs: 0,
    inject: (scene) => spoil(scene, wrongValue),
  },
  {
    name: 'redis-watermark-replaced',
    takes: 'nothing',
    holdMs: 1_000,
    async inject({ stage, ...scene }) {
      const span = goBack(scene)
      await onRedis(stage.redis.url, async (redis) => {
        if (scene.random.chance(0.5)) await redis.set(stage.keys.watermark, PICKLED)
        else
          await redis.multi().del(stage.keys.watermark).rpush(stage.keys.watermark, PICKLED).exec()
      })
      return span.isOver
    },
  },
  {
    name: 'redis-crowded',
    takes: 'nothing',
    holdMs: 0,
    isForLongRuns: true,
    async inject({ stage, observer }) {
      await onRedis(stage.redis.url, (redis) => crowd(redis, 'SET'))
      const violations = await measureLag({ stage, observer }, (client) =>
        client.query(`select invalidation.flush('location:areas')`),
      )
      return async () => {
        await onRedis(stage.redis.url, (redis) => crowd(redis, 'UNLINK'))
        return violations
      }
    },
  },
]

/** Repeatedly overwrites a random quarter of all entries. */
async function spoil(
  { stage, random }: Scene,
  how: (redis: Redis, key: string, random: Random) => Promise<unknown>,
) {
  await onRedis(stage.redis.url, async (redis) => {
    for (let round = 0; round < ROUNDS; round++) {
      const keys = await entriesIn(redis, stage.keys)
      for (const key of random.some(keys, Math.ceil(keys.length / 4))) await how(redis, key, random)
      await sleep(EVERY_MS)
    }
  })
  return async () => {}
}

async function entriesIn(redis: Redis, { prefix, isEntry }: Keys): Promise<string[]> {
  const found: string[] = []
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    found.push(...(keys as string[]).filter(isEntry))
  }
  return [...new Set(found)].toSorted()
}

const wrongType = (redis: Redis, key: string, random: Random) =>
  random.of([
    () => redis.set(key, PICKLED, 'EX', 300),
    () => redis.set(key, '', 'EX', 300),
    () => redis.multi().del(key).rpush(key, PICKLED).expire(key, 300).exec(),
    () => redis.multi().del(key).sadd(key, PICKLED).expire(key, 300).exec(),
    () => redis.multi().del(key).zadd(key, 1, PICKLED).expire(key, 300).exec(),
  ])()

/** Writes a value that this system did not make to a field of a hash. */
async function wrongValue(redis: Redis, key: string, random: Random): Promise<void> {
  const fields = await redis.hkeys(key).catch(() => [])
  const field = fields.length > 0 ? random.of(fields) : 'full'
  const value = random.of([PICKLED, '', '0', '{"id":1}', '\x00'.repeat(64), 'x'.repeat(100_000)])
  await redis
    .eval(
      `if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end`,
      1,
      key,
      field,
      value,
    )
    .catch(() => undefined)
}

/** Writes or deletes so many unrelated keys that a SCAN over them is slow. */
async function crowd(redis: Redis, command: 'SET' | 'UNLINK'): Promise<void> {
  const lua = `for n = ARGV[1], ARGV[1] + 4999 do redis.call('${command}', 'unrelated:' .. n ${command === 'SET' ? `, 'x', 'EX', 600` : ''}) end`
  for (let n = 0; n < MANY; n += 5_000) await redis.eval(lua, 0, n)
}
