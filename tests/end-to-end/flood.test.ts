import { expect } from 'chai'
import fc from 'fast-check'
import { openRedis, type Redis } from '../../shared/cache/index.ts'
import { LONG } from '../support/long.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const RANDOM_REQUESTS = LONG ? 100_000 : 1_000
const WARM_REQUESTS = LONG ? 10_000 : 1_000
const CONNECTIONS = 16

describe('a flood of anonymous requests', function () {
  this.timeout(LONG ? 30 * 60_000 : 120_000)
  let redis: PrivateRedis
  let client: Redis
  let system: System
  before(async () => {
    redis = await startPrivateRedis()
    client = openRedis(redis.url, { name: 'spms-test', commandTimeoutMs: 5_000, onState() {} })
    // Long time-outs: on a busy machine Redis must not count as down.
    const env = { REDIS_TIMEOUT_MS: '2000', REDIS_BUDGET_MS: '4000' }
    system = await startSystem({ redisUrl: redis.url, env })
  })
  after(async () => {
    client.disconnect()
    await system[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })

  /** Requests these paths over a few connections. Returns the number of answers by status. */
  async function send(paths: readonly string[]): Promise<Map<number, number>> {
    const statuses = new Map<number, number>()
    let next = 0
    const connection = async () => {
      for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
        const { status } = await system.get(path)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, connection))
    return statuses
  }

  async function usedMemory(): Promise<number> {
    const info = await client.info('memory')
    return Number(/used_memory:(\d+)/.exec(info)?.[1])
  }

  async function publicPaths(): Promise<string[]> {
    const { rows } = await system.sql.query<{ id: string; user_id: string }>(
      `select p.id, p.user_id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active order by p.id limit 60`,
    )
    return rows.flatMap(({ id, user_id }) => [
      `users/staffprofiles/${id}`,
      `users/staffprofiles/${id}/hero`,
      `users/staffprofiles/${id}/overview`,
      `users/staffprofiles/${id}/cv`,
      `users/${user_id}/projects_staff_profile`,
    ])
  }

  it('runs no query for cached public paths', async () => {
    const paths = ['users/staffprofiles', 'users/staffprofiles?page=2', ...(await publicPaths())]
    await send(paths)
    await until(async () => {
      const replies = await Promise.all(paths.map((path) => system.get(path)))
      return replies.every(({ cache }) => cache === 'hit')
    })
    const queries = async () => {
      // Excludes the incarnation check that each process runs once a second. `pg_stat_activity` is
      // used because it is current, whereas statistics of backends are delayed.
      const { rows } = await system.sql.query<{ count: string }>(
        `select count(*) from pg_stat_activity
         where datname = current_database() and application_name = 'spms-api'
           and query not like '%invalidation.current_incarnation%'
           and (state <> 'idle' or state_change > $1)`,
        [startedAt],
      )
      return Number(rows[0]?.count)
    }
    const { rows } = await system.sql.query<{ now: Date }>('select clock_timestamp() as now')
    const startedAt = rows[0]?.now
    const loads = await system.metric('spms_cache_loads_total')
    const repeated = Array.from(
      { length: WARM_REQUESTS },
      (_, n) => paths[n % paths.length] as string,
    )
    expect(await send(repeated)).to.deep.equal(new Map([[200, WARM_REQUESTS]]))
    expect(await system.metric('spms_cache_loads_total')).to.equal(loads)
    expect(await queries()).to.equal(0)
  })

  it('causes no 5xx and no memory growth for random paths', async () => {
    await send(await publicPaths())
    const warm = await usedMemory()
    const statuses = await send(fc.sample(anyRequest, { numRuns: RANDOM_REQUESTS, seed: 7 }))
    expect([...statuses.keys()].filter((status) => status >= 500)).to.deep.equal([])
    expect(((await usedMemory()) - warm) / 1_000_000).to.be.below(10)
  })
})

const id = fc.oneof(
  fc.nat(2_000),
  fc.nat(1_000_000_000),
  fc.bigInt(0n, 2n ** 70n),
  fc.constantFrom(
    '0',
    '-1',
    '007',
    'x',
    '1.5',
    '%00',
    '9223372036854775807',
    '9223372036854775808',
  ),
)
const text = fc.string({ unit: 'binary', maxLength: 12 }).map((value) => {
  try {
    return encodeURIComponent(value)
  } catch {
    return '%ff'
  }
})
const query = fc
  .record(
    {
      page: fc.oneof(id, text),
      page_size: fc.oneof(fc.integer({ min: -2, max: 200 }), text),
      business_area: fc.oneof(fc.nat(40), id, text),
      search: text,
      is_active: text,
    },
    { requiredKeys: [] },
  )
  .map((values) =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}`)
      .join('&'),
  )

/** Random requests to public routes. */
const anyRequest = fc.oneof(
  query.map((values) => `users/staffprofiles?${values}`),
  fc
    .tuple(id, fc.constantFrom('', '/hero', '/overview', '/cv', '/nothing'))
    .map(([profile, section]) => `users/staffprofiles/${profile}${section}`),
  id.map((user) => `users/${user}/projects_staff_profile`),
)
