import { once } from 'node:events'
import { expect } from 'chai'
import { watermarkKey } from '../../shared/cache/key.ts'
import { decodeWatermark } from '../../shared/cache/watermark.ts'
import { openRedis, type Redis } from '../../shared/redis.ts'
import { catalog } from '../../shared/resources/index.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const BOUND_MS = 1_500
/** Longer than a watermark must stand still before another may take its place. */
const WHILE_MS = 4_000

/** One has the cache; the other was given the same Redis and prefix by mistake. */
describe('two living systems that invalidate in one Redis', function () {
  this.timeout(90_000)

  let systems: readonly System[]
  let redis: Redis
  let id: string
  before(async () => {
    const prefix = newPrefix()
    const start = () => startSystem({ prefix, env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    redis = openRedis(testRedisUrl(), { name: 'spms-test', onState: () => {} })
    if (redis.status !== 'ready') await once(redis, 'ready')
    const first = await start()
    systems = [first]
    systems = [first, await start()]
    const { rows } = await first.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 1`,
    )
    id = rows[0]?.id ?? ''
  })
  after(async () => {
    for (const system of systems) await system[Symbol.asyncDispose]()
    redis.disconnect()
  })

  const [one, other] = [0, 1] as const
  const of = (at: number) => systems[at] as System
  const read = (at: number) => of(at).get(`users/staffprofiles/${id}/hero`)
  const write = (at: number, about: string) =>
    of(at).sql.query('update users_publicstaffprofile set about = $1 where id = $2', [about, id])
  const foreignWatermarks = (at: number) => of(at).metric('spms_foreign_watermarks')

  /** Whether it is whose life all watermarks speak of. */
  async function has(at: number): Promise<boolean> {
    const { rows } = await of(at).sql.query<{ id: string }>(
      'select id from invalidation.current_incarnation',
    )
    const stored = await redis.hgetall(watermarkKey(of(at).prefix))
    return catalog.every(
      ({ name }) => decodeWatermark(stored[name] ?? null)?.incarnation === rows[0]?.id,
    )
  }

  const untilHit = (at: number, about: string) =>
    until(async () => {
      const { cache, text } = await read(at)
      return cache === 'hit' && text.includes(`"${about}"`)
    })

  /** Both write and read for a while: each sees its own, and nothing that was superseded for longer than the bound. */
  async function expectApart(): Promise<void> {
    const untilMs = performance.now() + WHILE_MS
    const work = async (at: number) => {
      let current = ''
      let sinceMs = 0
      for (let n = 0; performance.now() < untilMs; n++) {
        if (n % 20 === 0) {
          current = `${at} wrote ${n}`
          await write(at, current)
          sinceMs = performance.now()
        }
        const askedAtMs = performance.now()
        const { text } = await read(at)
        expect(text).to.contain(`"${at} wrote `)
        if (askedAtMs > sinceMs + BOUND_MS) expect(text).to.contain(`"${current}"`)
      }
    }
    await Promise.all([one, other].map(work))
  }

  it('leave the cache to the first, say so, and never show what the other has', async () => {
    await until(async () => (await foreignWatermarks(other)) === catalog.length)
    await Promise.all([write(one, '0 wrote this'), write(other, '1 wrote this')])
    await until(async () => (await read(one)).text.includes('"0 wrote this"'))
    await until(async () => (await read(other)).text.includes('"1 wrote this"'))
    await expectApart()
    expect(await has(one)).to.be.true
    expect(await foreignWatermarks(one)).to.equal(0)
    expect(await foreignWatermarks(other)).to.equal(catalog.length)
  })

  it('give it to the second when the first has ended, and leave it there', async () => {
    await write(other, 'waits')
    await of(one).invalidator.kill()
    await until(() => has(other))
    expect(await foreignWatermarks(other)).to.equal(0)
    await untilHit(other, 'waits')

    await of(one).invalidator.start()
    await until(async () => (await foreignWatermarks(one)) === catalog.length)
    await Promise.all([write(one, '0 wrote this'), write(other, '1 wrote this')])
    await until(async () => (await read(one)).text.includes('"0 wrote this"'))
    await until(async () => (await read(other)).text.includes('"1 wrote this"'))
    await expectApart()
    expect(await has(other)).to.be.true
  })
})
