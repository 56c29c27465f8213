import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { LONG } from '../support/long.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

/** Share of the rate that an API sustains without a cache. Two APIs and the client share the machine. */
const SHARE_OF_SUSTAINED = 0.3
const SECONDS = LONG ? 20 : 3
/** With fewer requests, p99 would be a single request. */
const LEAST_REQUESTS = 300
/** How much higher than without a cache p99 may be. */
const MOST_ABOVE_UNCACHED_MS = 100
const CONNECTIONS = 8
const SUSTAINED_S = 1.5

interface Load {
  readonly p99Ms: number
  readonly failures: number
  readonly wrong: number
}

/** Measures the throughput when each connection sends its requests sequentially, in requests/s. */
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

/** Sends requests at a fixed rate without waiting for answers. Latency counts from the scheduled time. */
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

/** Returns paths with their answers. */
async function expected(system: System): Promise<Map<string, string>> {
  const { rows } = await system.sql.query<{ id: string }>(
    `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
     where not p.is_hidden and u.is_active order by p.id limit 20`,
  )
  const paths = rows.map(({ id }) => `users/staffprofiles/${id}/cv`)
  const replies = await Promise.all(paths.map(async (path) => (await system.get(path)).text))
  return new Map(paths.map((path, n) => [path, replies[n] as string]))
}

describe('an API during an outage of Redis', function () {
  this.timeout(LONG ? 300_000 : 120_000)
  // Retries, since latencies are compared on a machine that may be busy.
  this.retries(2)
  let redis: PrivateRedis
  let system: System
  let uncached: System
  let paths: Map<string, string>
  let requestsPerS: number

  before(async () => {
    uncached = await startSystem({ env: { CACHE_ENABLED: 'false' } })
    redis = await startPrivateRedis()
    system = await startSystem({ redisUrl: redis.url })
    paths = await expected(uncached)
    expect(await expected(system)).to.deep.equal(paths)
    const base = uncached.apis[0] as string
    await sustainedPerS(base, paths)
    requestsPerS = SHARE_OF_SUSTAINED * (await sustainedPerS(base, paths))
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await uncached[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })

  async function untilHits(): Promise<void> {
    for (const path of paths.keys()) {
      await until(async () => (await system.get(path)).cache === 'hit')
    }
  }

  /** Compares the API with one without a cache under the same concurrent load. */
  async function expectUnharmed(outage: () => Promise<void>): Promise<void> {
    const [during, without] = await Promise.all([
      load(system.apis[0] as string, paths, requestsPerS),
      load(uncached.apis[0] as string, paths, requestsPerS),
      sleep(200).then(outage),
    ])
    expect(during).to.include({ failures: 0, wrong: 0 })
    // In a short run on a busy machine, p99 is not reliable.
    if (LONG) expect(during.p99Ms).to.be.below(without.p99Ms + MOST_ABOVE_UNCACHED_MS)
  }

  const away = [
    { how: 'killed', begin: () => redis.stop(), end: () => redis.start() },
    { how: 'frozen', begin: () => redis.freeze(), end: () => redis.thaw() },
  ]
  for (const { how, begin, end } of away) {
    it(`answers correctly and without errors while Redis is ${how}, and caches again afterwards`, async () => {
      await untilHits()
      const [path] = paths.keys()
      try {
        await expectUnharmed(begin)
        // A change during the outage is visible at once.
        await system.sql.query(
          `insert into users_employmententry (public_profile_id, position_title, start_year)
           values ($1, $2, 1990)`,
          [/\d+/.exec(path as string)?.[0], `changed while Redis was ${how}`],
        )
        expect((await system.get(path as string)).text).to.contain(`while Redis was ${how}`)
      } finally {
        await end()
      }
      // The change stays visible when Redis is back.
      await untilHits()
      await until(async () => {
        const { cache, text } = await system.get(path as string)
        return cache === 'hit' && text.includes(`while Redis was ${how}`)
      })
      await system.sql.query(
        `delete from users_employmententry where position_title like 'changed%'`,
      )
      await until(async () => (await system.get(path as string)).text === paths.get(path as string))
    })
  }
})
