import { expect } from 'chai'
import { uninstall } from '../../db/event-log/index.ts'
import { decodeWatermark, DISABLED, watermarkKey } from '../../shared/cache/index.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { createProxy } from '../support/chaos-proxy.ts'
import { startPrivateRedis } from '../support/private-redis.ts'
import {
  recordKeys,
  startInvalidator,
  type TestInvalidator,
  type TestInvalidatorOptions,
} from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, type Entries, entriesOf, nest, openBirds, isSleepLockHeld } from './birds.ts'

describe('recovery of an invalidator', function () {
  this.timeout(30_000)
  let log: EventLog
  let id = 0

  before(async () => {
    log = await openBirds()
  })
  after(() => log[Symbol.asyncDispose]())

  type Started = TestInvalidator & { readonly entries: Entries }

  /** Starts an invalidator that wakes up for notifications only, by default. */
  function start(options: Partial<TestInvalidatorOptions> = {}): Started {
    const invalidator = startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      heartbeatMs: Infinity,
      ...options,
    })
    // Object.assign keeps the getters; a spread would evaluate them once.
    return Object.assign(invalidator, { entries: entriesOf(invalidator.redis, invalidator.prefix) })
  }

  const write = () => log.client.query(`insert into bird values (${++id})`)

  /** Checks the whole way: a change deletes its entry and no other. */
  async function works({ entries, redis, prefix }: Started): Promise<void> {
    const [stale, fresh] = [entries.key(bird, id + 1), entries.key(bird, 'other')]
    await until(() => redis.status === 'ready')
    await until(async () => (await redis.hlen(watermarkKey(prefix))) === BIRDS.length)
    await until(async () => {
      await entries.put([stale, fresh])
      return (await entries.left([fresh])).length === 1
    })
    await write()
    await until(async () => (await entries.left([stale])).length === 0)
    expect(await entries.left([fresh])).to.eql([fresh])
  }

  /**
   * Waits until every resource has been flushed for the current incarnation. Flushes run one
   * after the other; `works` would treat a late one as an imprecise invalidation.
   */
  async function flushedForIncarnation({ redis, prefix }: Started): Promise<void> {
    const { rows } = await log.client.query<{ id: string }>(
      'select id from invalidation.current_incarnation',
    )
    await until(async () => {
      const marks = (await redis.hvals(watermarkKey(prefix))).map(decodeWatermark)
      return (
        marks.length === BIRDS.length &&
        marks.every((mark) => mark?.incarnation === rows[0]?.id && mark?.keyVersion !== DISABLED)
      )
    })
  }

  const terminate = (applicationName: string) =>
    log.client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = $1 and datname = current_database()`,
      [applicationName],
    )

  async function connections(): Promise<number> {
    const { rowCount } = await log.client.query(
      `select from pg_stat_activity
       where application_name like 'spms-test%' and application_name <> 'spms-test-writer'
         and application_name not like '%-sleep'
         and datname = current_database()`,
    )
    return rowCount ?? 0
  }

  it('reconnects after losing its session and continues from its watermarks', async () => {
    const record = recordKeys()
    await using invalidator = start({ wrapInvalidationStore: record.wrapInvalidationStore })
    await works(invalidator)
    const { length } = record.flushed
    for (let round = 0; round < 3; round++) {
      await terminate('spms-test')
      await write()
      await until(() => record.applied.has(invalidator.entries.key(bird, id)))
      await works(invalidator)
    }
    expect(record.flushed).to.have.lengthOf(length)
    expect(await connections()).to.equal(2)
  })

  it('does not treat its own watermarks as foreign when a new incarnation begins after losing its session', async () => {
    let wasForeign = false
    await using invalidator = start({
      wrapInvalidationStore(invalidationStore) {
        return {
          ...invalidationStore,
          async apply(advances, between) {
            const { values } = await invalidator.metrics.foreignWatermarks.get()
            wasForeign ||= values.some(({ value }) => value > 0)
            return invalidationStore.apply(advances, between)
          },
        }
      },
    })
    await works(invalidator)
    await log.client.query('update invalidation.incarnation set id = gen_random_uuid()')
    await terminate('spms-test')
    await flushedForIncarnation(invalidator)
    await works(invalidator)
    // A foreign watermark would be observed for a while and not advanced.
    expect(wasForeign).to.be.false
  })

  it("applies commits that it missed while its listener's connection was lost", async () => {
    const record = recordKeys()
    await using invalidator = start({ wrapInvalidationStore: record.wrapInvalidationStore })
    await works(invalidator)
    for (let round = 0; round < 3; round++) {
      await terminate('spms-test-listener')
      await write()
      await until(() => record.applied.has(invalidator.entries.key(bird, id)))
    }
    await until(() => invalidator.connected)
    await works(invalidator)
    expect(await connections()).to.equal(2)
  })

  it('waits for Postgres if it is down at the start', async () => {
    await using proxy = await createProxy(log.url)
    await using invalidator = start({ databaseUrl: proxy.url })
    await until(() => invalidator.wakeUps >= 3)
    expect(invalidator.working).to.be.false
    await proxy.listen()
    await works(invalidator)
    await until(() => invalidator.connected)
    expect(await connections()).to.equal(2)
  })

  it('continues from its watermarks after an outage of Postgres', async () => {
    const record = recordKeys()
    await using proxy = await createProxy(log.url)
    await proxy.listen()
    await using invalidator = start({
      databaseUrl: proxy.url,
      wrapInvalidationStore: record.wrapInvalidationStore,
    })
    await works(invalidator)
    const { length } = record.flushed
    await proxy[Symbol.asyncDispose]()
    await until(() => !invalidator.working)
    await write()
    await proxy.listen()
    await until(() => record.applied.has(invalidator.entries.key(bird, id)))
    expect(record.flushed).to.have.lengthOf(length)
    await works(invalidator)
  })

  it('replaces a connection on which Postgres does not reply', async () => {
    await using proxy = await createProxy(log.url)
    await proxy.listen()
    const databaseUrl = proxy.url
    await using invalidator = start({ databaseUrl, heartbeatMs: 50, statementTimeoutMs: 100 })
    await works(invalidator)
    proxy.delayMs = 4_000
    await until(() => !invalidator.working)
    proxy.delayMs = 0
    await until(() => invalidator.working)
    await works(invalidator)
  })

  it('starts after the event log is installed', async () => {
    await uninstall(log.url, 0)
    await using invalidator = start()
    await until(() => invalidator.connected)
    // It retries and leaves no connection open.
    await until(() => invalidator.redis.status === 'ready')
    const before = performance.now()
    await until(() => performance.now() - before > 1_000)
    // An attempt opens connections for a moment. If it left one open, there would soon be more.
    await until(async () => (await connections()) <= 2)
    await log.install()
    await works(invalidator)
  })

  it('continues after the event log is uninstalled and installed again', async () => {
    await using invalidator = start({ heartbeatMs: 50 })
    await works(invalidator)
    await uninstall(log.url, 0)
    await until(() => !invalidator.working)
    await log.install()
    await flushedForIncarnation(invalidator)
    await works(invalidator)
  })

  it('waits for Redis if it is down at the start', async () => {
    await using redis = await startPrivateRedis()
    await redis.stop()
    await using invalidator = start({ redisUrl: redis.url })
    await until(async () => (await connections()) === 2)
    await write()
    await redis.start()
    await works(invalidator)
  })

  it('flushes when Redis restarts empty', async () => {
    const record = recordKeys()
    await using redis = await startPrivateRedis()
    await using invalidator = start({
      redisUrl: redis.url,
      wrapInvalidationStore: record.wrapInvalidationStore,
    })
    await works(invalidator)
    await redis.stop()
    await write()
    await until(() => !invalidator.working)
    const { length } = record.flushed
    await redis.start()
    await works(invalidator)
    expect(record.flushed.length).to.equal(length + BIRDS.length)
  })

  it('requests no wake-ups while Redis is down', async () => {
    await using redis = await startPrivateRedis()
    await using invalidator = start({ redisUrl: redis.url })
    await works(invalidator)
    await until(() => isSleepLockHeld(log.client))
    await redis.stop()
    await write()
    await until(async () => !(await isSleepLockHeld(log.client)))
    for (let round = 0; round < 20; round++) {
      await write()
      expect(await isSleepLockHeld(log.client)).to.be.false
    }
    await redis.start()
    await works(invalidator)
    await until(() => isSleepLockHeld(log.client))
  })

  it('flushes when all data in Redis is deleted', async () => {
    const record = recordKeys()
    await using redis = await startPrivateRedis()
    await using invalidator = start({
      redisUrl: redis.url,
      wrapInvalidationStore: record.wrapInvalidationStore,
    })
    await works(invalidator)
    const { length } = record.flushed
    await until(() => isSleepLockHeld(log.client))
    await invalidator.redis.flushall()
    await write()
    await works(invalidator)
    expect(record.flushed.length).to.equal(length + BIRDS.length)
  })

  it('skips nothing when Redis stalls', async () => {
    await using redis = await startPrivateRedis()
    await using invalidator = start({ redisUrl: redis.url })
    await works(invalidator)
    const { entries } = invalidator
    const keys = [entries.key(bird, id + 1), entries.key(bird, id + 2)]
    await entries.put(keys)
    await redis.freeze()
    await write()
    await write()
    // Longer than the command timeout.
    await until(() => !invalidator.working)
    await redis.thaw()
    await until(async () => (await entries.left(keys).catch(() => keys)).length === 0)
    await works(invalidator)
  })

  it('flushes the resource of a failing lookup and applies everything else', async () => {
    const broken = {
      ...bird,
      staleWhen: bird.staleWhen.map((rule) =>
        'query' in rule
          ? { ...rule, query: 'select 1 / 0 as id where $1::text[] is not null' }
          : rule,
      ),
    }
    const record = recordKeys()
    await using invalidator = start({
      catalog: [broken, nest],
      wrapInvalidationStore: record.wrapInvalidationStore,
    })
    const { key, put, left } = invalidator.entries
    await until(() => record.flushed.length === 2)
    // In a cluster other buckets may still be flushed.
    await until(
      async () => decodeWatermark(await invalidator.invalidationStore.read('nest')) !== null,
    )
    await put([key(bird, 'any'), key(nest, 1)])
    await log.client.query(`update nest set place = 'x' where id = 1`)
    await until(async () => (await left([key(bird, 'any')])).length === 0)
    expect(await left([key(nest, 1)])).to.have.lengthOf(1)
    await log.client.query(`insert into bird values (${++id}, 'x', 1, '{}', 1)`)
    await until(async () => (await left([key(nest, 1)])).length === 0)
    expect(invalidator.working).to.be.true
  })

  it('flushes the resources of a table while a column is missing, and is exact again afterwards', async () => {
    const record = recordKeys()
    await using invalidator = start({ wrapInvalidationStore: record.wrapInvalidationStore })
    await works(invalidator)
    const { key, put, left } = invalidator.entries
    await log.client.query('alter table bird rename name to title')
    await put([key(bird, 'any')])
    await log.client.query(`update bird set weight = 17`)
    await until(async () => (await left([key(bird, 'any')])).length === 0)
    const { length } = record.flushed
    await log.client.query('alter table bird rename title to name')
    await until(() => record.flushed.slice(length).includes(bird.name))
    await works(invalidator)
  })

  it('stops at once, even while Postgres or Redis is unavailable', async () => {
    await using proxy = await createProxy(log.url)
    for (const databaseUrl of [log.url, proxy.url]) {
      const invalidator = start({ databaseUrl })
      if (databaseUrl === log.url) await until(() => invalidator.working)
      else await until(() => invalidator.wakeUps >= 2)
      await invalidator[Symbol.asyncDispose]()
    }
    await using redis = await startPrivateRedis()
    const invalidator = start({ redisUrl: redis.url })
    await until(() => invalidator.working)
    await redis.freeze()
    await write()
    await invalidator[Symbol.asyncDispose]()
    await redis.thaw()
    await until(async () => (await connections()) === 0)
  })

  it('keeps its watermarks recent while nothing changes', async () => {
    await using invalidator = start({ heartbeatMs: 100 })
    await works(invalidator)
    const asOf = async () =>
      decodeWatermark(await invalidator.invalidationStore.read('bird'))?.asOfMs ?? 0
    const first = await asOf()
    await until(async () => (await asOf()) > first + 300)
  })
})
