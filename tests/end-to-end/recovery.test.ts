import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import { decodeWatermark, openRedis, type Redis, watermarkKey } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { crashBackend } from '../support/crash-backend.ts'
import { itLong, LOAD_PAUSE_MS, LONG } from '../support/long.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../support/private-postgres.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const PROFILES = 12
const WRITERS = 4
/** Longer, because there is a reader for each profile. */
const READ_PAUSE_MS = 5 * LOAD_PAUSE_MS

/**
 * Writers and readers run during every fault. When the watermarks include all commits, cached
 * answers must equal those from Postgres, and all entries must be cached again.
 */
describe('recovery from a fault under load', function () {
  this.timeout(LONG ? 180_000 : 90_000)
  let postgres: PrivatePostgres
  let redis: PrivateRedis
  let system: System
  let uncached: System
  let paths: string[]
  let marks: Redis

  before(async () => {
    ;[postgres, redis] = await Promise.all([startPrivatePostgres(), startPrivateRedis()])
    const common = { databaseUrl: postgres.url, redisUrl: redis.url }
    system = await startSystem(common)
    uncached = await startSystem({ ...common, env: { CACHE_ENABLED: 'false' } })
    await uncached.invalidator.kill()
    marks = openRedis(redis.url, { name: 'spms-test', commandTimeoutMs: 2_000, onState: () => {} })
    if (marks.status !== 'ready') await once(marks, 'ready')
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit ${PROFILES}`,
    )
    paths = rows.map(({ id }) => `users/staffprofiles/${id}/overview`)
  })
  after(async () => {
    marks.disconnect()
    await system[Symbol.asyncDispose]()
    await uncached[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })

  /** Reads all profiles until they are cache hits. */
  const warm = () =>
    Promise.all(paths.map((path) => until(async () => (await system.get(path)).cache === 'hit')))

  /** Changes the profiles continuously. Writers reconnect when a connection breaks. */
  function startWriting(): { stop(): Promise<number> } {
    const stopping = new AbortController()
    let written = 0
    const ids = paths.map((path) => /\d+/.exec(path)?.[0])
    const write = async (writer: number) => {
      while (!stopping.signal.aborted) {
        const client = new Client({
          connectionString: postgres.url,
          connectionTimeoutMillis: 2_000,
        })
        client.on('error', () => {})
        try {
          await client.connect()
          // A crash may lose the last asynchronous commits; Postgres then reuses their transaction ids.
          if (writer % 2 === 0) await client.query('set synchronous_commit = off')
          for (let n = 0; !stopping.signal.aborted; n++) {
            const id = ids[(n * WRITERS + writer) % ids.length]
            await client.query('begin')
            await client.query('update users_publicstaffprofile set expertise = $1 where id = $2', [
              `${writer} wrote ${n} at ${performance.now()}`,
              id,
            ])
            await client.query(n % 5 === 0 ? 'rollback' : 'commit')
            written++
            await sleep(LOAD_PAUSE_MS)
          }
        } catch {
          await sleep(50)
        } finally {
          await client.end().catch(() => undefined)
        }
      }
    }
    const running = Array.from({ length: WRITERS }, (_, writer) => write(writer))
    return {
      async stop() {
        stopping.abort()
        await Promise.all(running)
        return written
      },
    }
  }

  /** Reads all profiles continuously, so that entries are filled during the fault. Ignores errors. */
  function startReading(): { stop(): Promise<void> } {
    const stopping = new AbortController()
    const running = paths.map(async (path) => {
      while (!stopping.signal.aborted) {
        await system.get(path).catch(() => undefined)
        await sleep(READ_PAUSE_MS)
      }
    })
    return {
      async stop() {
        stopping.abort()
        await Promise.all(running)
      },
    }
  }

  async function snapshotNow(): Promise<Snapshot> {
    const client = new Client({ connectionString: postgres.url })
    await client.connect()
    const { rows } = await client.query<{ text: string }>(
      'select pg_current_snapshot()::text as text',
    )
    await client.end()
    return parseSnapshot(rows[0]?.text ?? '') as Snapshot
  }

  async function incarnation(): Promise<string> {
    const client = new Client({ connectionString: postgres.url })
    await client.connect()
    const { rows } = await client.query<{ id: string }>('select id from invalidation.incarnation')
    await client.end()
    return rows[0]?.id ?? ''
  }

  async function hasRecovered(since: Snapshot): Promise<boolean> {
    const stored: Readonly<Record<string, string>> = await marks
      .hgetall(watermarkKey(system.prefix))
      .catch(() => ({}))
    const watermarks = catalog.map(({ name }) => decodeWatermark(stored[name] ?? null))
    // First what needs no connection.
    if (!watermarks.every((mark) => mark !== null && includes(mark.snapshot, since))) return false
    const ours = await incarnation()
    return watermarks.every((mark) => mark?.incarnation === ours)
  }

  async function expectRecovery(fault: () => Promise<void>): Promise<void> {
    await warm()
    const writers = startWriting()
    const readers = startReading()
    try {
      await sleep(300)
      await fault()
      await sleep(300)
      expect(await writers.stop()).to.be.greaterThan(0)
      await until(async () => hasRecovered(await snapshotNow()))
    } finally {
      await writers.stop()
      await readers.stop()
    }
    for (const path of paths) {
      const [cached, fresh] = [await system.get(path), await uncached.get(path)]
      expect(cached.status).to.equal(200)
      expect(cached.text, cached.headers.get('cache-status') ?? '').to.equal(fresh.text)
    }
    await warm()
    for (const path of paths) {
      expect((await system.get(path)).text).to.equal((await uncached.get(path)).text)
    }
  }

  const terminate = (pattern: string) =>
    uncached.sql.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1`,
      [pattern],
    )

  it('succeeds after the invalidator is killed and replaced', () =>
    expectRecovery(async () => {
      await system.invalidator.kill()
      await sleep(200)
      await system.invalidator.start()
    }))

  itLong('succeeds after the connections of the invalidator are terminated repeatedly', () =>
    expectRecovery(async () => {
      for (let time = 0; time < 5; time++) {
        await terminate('spms-invalidator%')
        await sleep(150)
      }
    }),
  )

  it('succeeds after the invalidator is suspended for longer than its locks last', () =>
    expectRecovery(async () => {
      system.invalidator.freeze()
      await sleep(LONG ? 30_000 : 6_500)
      system.invalidator.thaw()
    }))

  itLong('succeeds after a restart of Postgres', () =>
    expectRecovery(async () => {
      await postgres.stop()
      await postgres.start()
    }),
  )

  it('succeeds after a crash of Postgres that loses asynchronous commits and reuses their ids', () =>
    expectRecovery(async () => {
      await postgres.crash()
      await postgres.start()
    }))

  it('succeeds after the crash of one backend, which terminates all others', () =>
    expectRecovery(() => crashBackend(postgres.url)))

  it('succeeds after Redis restarts without data', () =>
    expectRecovery(async () => {
      await redis.stop()
      await sleep(200)
      await redis.start()
    }))

  itLong('succeeds after Redis restarts with older data', () =>
    expectRecovery(async () => {
      await redis.save()
      await sleep(300)
      await redis.stop()
      await sleep(200)
      await redis.start()
    }),
  )

  itLong('succeeds after FLUSHALL on Redis', () =>
    expectRecovery(async () => void (await marks.flushall())),
  )
})
