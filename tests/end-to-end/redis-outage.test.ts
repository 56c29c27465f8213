import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const LONG = process.env.SPMS_LONG === '1'
/** Of what the API sustains without a cache: the client and other work share the machine. */
const SHARE_OF_SUSTAINED = 0.4
const SECONDS = LONG ? 20 : 3
/** Or its slowest hundredth would be a single one. */
const LEAST_REQUESTS = 300
/** How much slower than without a cache the slowest hundredth may be. */
const MOST_ABOVE_UNCACHED_MS = 100
const CONNECTIONS = 8
const SUSTAINED_S = 1.5

interface Load {
  readonly p99Ms: number
  readonly failures: number
  readonly wrong: number
}

/** How many requests a second are answered when each connection sends one after the other. */
async function sustainedPerS(base: string, paths: ReadonlyMap<string, string>): Promise<number> {
  const agent = new Agent({ keepAlive: true })
  const names = [...paths.keys()]
  const startedAt = performance.now()
  const elapsedS = () => (performance.now() - startedAt) / 1000
  let count = 0
  const connection = async () => {
    while (elapsedS() < SUSTAINED_S) {
      await fetchText(agent, `${base}/api/v1/${names[count++ % names.length]}`)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, connection))
  agent.destroy()
  return count / elapsedS()
}

/** Requests at a fixed rate that wait for none, timed from when each was due. */
async function load(
  base: string,
  paths: ReadonlyMap<string, string>,
  requestsPerS: number,
): Promise<Load> {
  const agent = new Agent({ keepAlive: true })
  const names = [...paths.keys()]
  const takenMs: number[] = []
  let failures = 0
  let wrong = 0
  const startedAt = performance.now()
  const pending: Promise<void>[] = []
  const count = Math.max(LEAST_REQUESTS, requestsPerS * SECONDS)
  for (let n = 0; n < count; n++) {
    const dueAt = startedAt + (n * 1000) / requestsPerS
    await sleep(Math.max(0, dueAt - performance.now()))
    const path = names[n % names.length] as string
    const answered = fetchText(agent, `${base}/api/v1/${path}`).then(
      ({ status, text }) => {
        takenMs.push(performance.now() - dueAt)
        if (status !== 200) failures++
        else if (text !== paths.get(path)) wrong++
      },
      () => void failures++,
    )
    pending.push(answered)
  }
  await Promise.all(pending)
  agent.destroy()
  const p99Ms = takenMs.toSorted((a, b) => a - b)[Math.floor(takenMs.length * 0.99)] ?? Infinity
  return { p99Ms, failures, wrong }
}

function fetchText(agent: Agent, url: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    })
      .on('error', reject)
      .end()
  })
}

/** What each address answers, by Postgres itself. */
async function expected(system: System): Promise<Map<string, string>> {
  const { rows } = await system.sql.query<{ id: string }>(
    `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
     where not p.is_hidden and u.is_active order by p.id limit 20`,
  )
  const paths = rows.map(({ id }) => `users/staffprofiles/${id}/cv`)
  const replies = await Promise.all(paths.map(async (path) => (await system.get(path)).text))
  return new Map(paths.map((path, n) => [path, replies[n] as string]))
}

describe('an API whose Redis is away', function () {
  this.timeout(LONG ? 300_000 : 90_000)
  let uncached: Load
  let requestsPerS: number
  let redis: PrivateRedis
  let system: System
  let paths: Map<string, string>

  before(async () => {
    const plain = await startSystem({ env: { CACHE_ENABLED: 'false' } })
    const answers = await expected(plain)
    const base = plain.apis[0] as string
    await sustainedPerS(base, answers)
    requestsPerS = SHARE_OF_SUSTAINED * (await sustainedPerS(base, answers))
    uncached = await load(base, answers, requestsPerS)
    await plain[Symbol.asyncDispose]()

    redis = await startPrivateRedis()
    system = await startSystem({ redisUrl: redis.url })
    paths = await expected(system)
    expect(paths).to.deep.equal(answers)
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })
  beforeEach(hits)

  async function hits(): Promise<void> {
    for (const path of paths.keys()) {
      await until(async () => (await system.get(path)).cache === 'hit')
    }
  }

  async function survives(outage: () => Promise<void>, end: () => Promise<void>): Promise<void> {
    const base = system.apis[0] as string
    const during = load(base, paths, requestsPerS)
    await sleep(200)
    await outage()
    const { p99Ms, failures, wrong } = await during
    expect({ failures, wrong }).to.deep.equal({ failures: 0, wrong: 0 })
    expect(p99Ms).to.be.below(uncached.p99Ms + MOST_ABOVE_UNCACHED_MS)

    // A change meanwhile is seen at once, and is not forgotten when Redis is back.
    const [path] = paths.keys()
    const id = /\d+/.exec(path as string)?.[0]
    await system.sql.query(
      `update users_employmententry set position_title = 'while Redis was away'
       where public_profile_id = $1`,
      [id],
    )
    await system.sql.query(
      `insert into users_employmententry (public_profile_id, position_title, start_year)
       values ($1, 'while Redis was away', 1990)`,
      [id],
    )
    expect((await system.get(path as string)).text).to.contain('while Redis was away')
    await end()
    await hits()
    expect((await system.get(path as string)).text).to.contain('while Redis was away')
    paths = await expected(system)
  }

  it('killed: answers right, without an error, and takes it up again', () =>
    survives(
      () => redis.stop(),
      () => redis.start(),
    ))

  it('frozen: answers right, without an error, and takes it up again', () =>
    survives(
      () => redis.freeze(),
      () => redis.thaw(),
    ))
})
