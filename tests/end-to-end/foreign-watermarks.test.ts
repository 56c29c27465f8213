import { once } from 'node:events'
import { expect } from 'chai'
import { decodeWatermark, openRedis, type Redis, watermarkKey } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const BOUND_MS = 1_500
/** Longer than a watermark must stay unchanged before another invalidator may take it over. */
const WHILE_MS = 4_000

/** One system owns the watermarks. The other has the same Redis and prefix by a wrong configuration. */
describe('two systems with the same Redis and key prefix', function () {
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

  /** Whether all watermarks have the incarnation of a system. */
  async function ownsWatermarks(at: number): Promise<boolean> {
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

  /** Writes and reads in both systems. Each must show its own values, and none older than the bound. */
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

  it('let only the first one use the cache, report foreign watermarks, and show only their own data', async () => {
    await until(async () => (await foreignWatermarks(other)) === catalog.length)
    await Promise.all([write(one, '0 wrote this'), write(other, '1 wrote this')])
    await until(async () => (await read(one)).text.includes('"0 wrote this"'))
    await until(async () => (await read(other)).text.includes('"1 wrote this"'))
    await expectApart()
    expect(await ownsWatermarks(one)).to.be.true
    expect(await foreignWatermarks(one)).to.equal(0)
    expect(await foreignWatermarks(other)).to.equal(catalog.length)
  })

  it('let the second one take over when the first has stopped, and keep it', async () => {
    await write(other, 'waits')
    await of(one).invalidator.kill()
    await until(() => ownsWatermarks(other))
    expect(await foreignWatermarks(other)).to.equal(0)
    await untilHit(other, 'waits')

    await of(one).invalidator.start()
    await until(async () => (await foreignWatermarks(one)) === catalog.length)
    await Promise.all([write(one, '0 wrote this'), write(other, '1 wrote this')])
    await until(async () => (await read(one)).text.includes('"0 wrote this"'))
    await until(async () => (await read(other)).text.includes('"1 wrote this"'))
    await expectApart()
    expect(await ownsWatermarks(other)).to.be.true
  })
})
