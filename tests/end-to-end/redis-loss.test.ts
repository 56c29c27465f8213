import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { createSessions } from '../../api/session/session.ts'
import { emptyLog } from '../../db/event-log/index.ts'
import { createProxy, type Proxy } from '../support/chaos-proxy.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { LOAD_PAUSE_MS, LONG } from '../support/long.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { startSystem, type System, SYSTEM_SECRET } from '../support/system.ts'
import { until } from '../support/until.ts'

const PROFILES = 8
/** How long a client writes and reads before Redis loses data, and after it has recovered. */
const AROUND_MS = 1_000

/** A Redis that a test can reset to older data. */
interface Losing extends AsyncDisposable {
  /** Its URL before and after the loss. */
  readonly url: string
  /** Saves the current data. `lose()` discards all later writes. */
  keep(): Promise<void>
  /** Kills Redis, and replaces it by one with the saved data. */
  lose(): Promise<void>
}

/** Loses data by a restart from an older file. */
async function openFromFile(): Promise<Losing> {
  const redis = await startPrivateRedis()
  return {
    url: redis.url,
    keep: () => redis.save(),
    async lose() {
      await redis.stop()
      await redis.start()
    },
    [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
  }
}

/** Loses data by a failover to a replica that missed the last writes. */
async function openReplicated(): Promise<Losing> {
  const servers: PrivateRedis[] = [await startPrivateRedis()]
  const master = () => servers.at(-1) as PrivateRedis
  const proxy = await createProxy(master().url)
  await proxy.listen()
  let replica: PrivateRedis
  let link: Proxy | undefined

  return {
    url: proxy.url,
    async keep() {
      await link?.[Symbol.asyncDispose]()
      link = await createProxy(master().url)
      await link.listen()
      replica = await startPrivateRedis()
      servers.unshift(replica)
      // By default Redis delays the synchronization to wait for more replicas.
      await command(master(), (client) => client.config('SET', 'repl-diskless-sync-delay', 0))
      const { port } = new URL(link.url)
      await command(replica, (client) => client.replicaof('127.0.0.1', Number(port)))
      await until(async () => {
        const info = await command(replica, (client) => client.info('replication'))
        return info.includes('master_link_status:up')
      })
      // The connection stays open, but the replica receives nothing.
      link.swallow()
    },
    async lose() {
      await master().stop()
      await command(replica, (client) => client.replicaof('NO', 'ONE'))
      servers.splice(servers.indexOf(replica), 1)
      servers.push(replica)
      proxy.lead(replica.url)
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await link?.[Symbol.asyncDispose]()
      for (const server of servers) await server[Symbol.asyncDispose]()
    },
  }
}

async function command<T>(server: PrivateRedis, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(server.url)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

const losses = [
  ...(LONG ? [{ how: 'a restart from an older file', open: openFromFile }] : []),
  { how: 'a failover to a replica that missed the last writes', open: openReplicated },
]
for (const { how, open } of losses) {
  describe(`Redis after ${how}`, function () {
    this.timeout(60_000)

    let database: TestDatabase
    let redis: Losing
    let system: System
    /** The profile that tests write, with the session of its owner. */
    let author: { readonly id: string; readonly session: string }
    /** Profiles that no test writes. */
    let others: readonly string[]
    before(async () => {
      database = await createTestDatabase({ seeded: true })
      redis = await open()
      system = await startSystem({ databaseUrl: database.url, redisUrl: redis.url })
      const { rows } = await system.sql.query<{ id: string; user: string; password: string }>(
        `select p.id, u.id as user, u.password
         from users_publicstaffprofile p join users_user u on u.id = p.user_id
         where not p.is_hidden and u.is_active and u.is_staff order by p.id limit $1`,
        [PROFILES],
      )
      const [first, ...rest] = rows
      const { id = '', user = '', password = '' } = first ?? {}
      const sessions = createSessions([SYSTEM_SECRET])
      author = { id, session: await sessions.issue(user, password) }
      others = rest.map((row) => row.id)
    })
    after(async () => {
      await system[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    })

    const hero = (id: string) => `users/staffprofiles/${id}/hero`
    const read = (token?: string) =>
      system.get(hero(author.id), token ? { 'Consistency-Token': token } : {})
    const flushes = () => system.metric('spms_flushes_total')

    /** Writes the profile as its owner. Returns the consistency token. */
    async function write(about: string): Promise<string> {
      const [api = ''] = system.apis
      const response = await fetch(`${api}/api/v1/users/staffprofiles/${author.id}`, {
        method: 'PUT',
        headers: {
          'Content-Type': 'application/json',
          ...(await sessionHeaders(author.session)),
        },
        body: JSON.stringify({ about }),
      })
      expect(response.status, await response.text()).to.equal(200)
      return response.headers.get('consistency-token') ?? ''
    }

    const untilHit = (about: string) =>
      until(async () => {
        const { cache, text } = await read()
        return cache === 'hit' && text.includes(`"${about}"`)
      })
    /** Returns the state of the first reply that does not bypass the cache. */
    async function firstUseOfCache(path: string): Promise<string | undefined> {
      let cache: string | undefined
      await until(async () => {
        cache = (await system.get(path)).cache
        return cache !== 'fwd=bypass'
      })
      return cache
    }
    /** Returns the value of the written profile in Redis. */
    async function storedText(): Promise<string> {
      const client = new Redis(redis.url)
      try {
        const [key = ''] = await client.keys(`*/staff:profile:${author.id}`)
        return String(await client.hget(key, 'hero'))
      } finally {
        client.disconnect()
      }
    }
    const untilOthersHit = async () => {
      for (const id of others) await until(async () => (await system.get(hero(id))).cache === 'hit')
    }

    /** Fills the cache and saves the data of Redis. Then applies a change that `lose()` discards. */
    async function changeWhatWillBeLost(): Promise<string> {
      await write('old')
      await Promise.all([untilHit('old'), untilOthersHit()])
      await redis.keep()
      const token = await write('new')
      await untilHit('new')
      return token
    }

    it('never serves data older than a token, repeats lost invalidations, and keeps other entries', async () => {
      const token = await changeWhatWillBeLost()
      const flushesBefore = await flushes()
      system.invalidator.freeze()
      await redis.lose()
      // The loss is real. The watermark of the old value does not cover the token.
      expect(await storedText()).to.contain('"old"')
      await until(async () => {
        const { text, headers } = await read(token)
        expect(text).to.contain('"new"')
        return headers.get('cache-status')?.includes('detail=consistency') === true
      })

      system.invalidator.thaw()
      await untilHit('new')
      await until(async () => (await read(token)).cache === 'hit')
      expect(await flushes()).to.equal(flushesBefore)
      // These were not read since the loss, so a hit shows that their entries were kept. A read that
      // bypasses the cache stores nothing: on a slow machine the first reads may time out.
      for (const id of others) expect(await firstUseOfCache(hero(id))).to.equal('hit')
    })

    it('flushes resources if the event log no longer contains the lost changes', async () => {
      await changeWhatWillBeLost()
      await system.invalidator.kill()
      await until(() =>
        emptyLog(database.url).then(
          () => true,
          () => false,
        ),
      )
      await redis.lose()
      await system.invalidator.start()
      await until(async () => (await flushes()) > 0)
      await untilHit('new')
      for (const id of others) expect((await system.get(hero(id))).cache).not.to.equal('hit')
    })

    it('shows a client with a token its writes before, during and after the loss', async () => {
      await untilOthersHit()
      const stopping = new AbortController()
      let written = 0
      let hits = 0
      const writing = (async () => {
        while (!stopping.signal.aborted) {
          const about = `${++written} times`
          const token = await write(about)
          const reply = await read(token)
          expect(reply.text).to.contain(`"${about}"`)
          await read()
          if ((await read(token)).cache === 'hit') hits++
          await sleep(LOAD_PAUSE_MS)
        }
      })()
      try {
        await sleep(AROUND_MS)
        await redis.keep()
        await sleep(AROUND_MS)
        await redis.lose()
        const [writtenBefore, hitsBefore] = [written, hits]
        await until(() => hits > hitsBefore)
        await sleep(AROUND_MS)
        expect(written).to.be.above(writtenBefore)
      } finally {
        stopping.abort()
        await writing
      }
      await untilHit(`${written} times`)
    })
  })
}
