import { expect } from 'chai'
import type { Client } from 'pg'
import {
  beginReading,
  emptyLog,
  isRetained,
  LOCK_CLASS,
  openWorkerSession,
  parseSnapshot,
  pruneEventLog,
  recordCursors,
  type Snapshot,
} from '../../db/event-log/index.ts'
import { InvalidatorRunning, type PruneResult } from '../../db/event-log/reading/pruning.ts'
import { LOCK } from '../../db/event-log/reading/event.ts'
import { examine } from '../../scripts/doctor/examine.ts'
import { createIdentityReader, decodeWatermark } from '../../shared/cache/index.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { runCli } from '../support/cli.ts'
import {
  newPrefix,
  recordKeys,
  startInvalidator,
  type TestInvalidator,
  testRedisUrl,
} from '../support/invalidator.ts'
import { repeat, type Repetition } from '../support/repeat.ts'
import { createRedisProxy } from '../support/redis-proxy.ts'
import { openTestRedis, untilReady } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, census, entriesOf, nest, openBirds } from './birds.ts'

describe('segments of the event log with a running invalidator', function () {
  this.timeout(60_000)
  let log: EventLog
  /** How far the pruning clock is ahead, in seconds. */
  let aheadS: number

  beforeEach(async () => {
    aheadS = 0
    log = await openBirds()
  })
  afterEach(() => log[Symbol.asyncDispose]())

  const sql = (statement: string) => log.client.query(statement)
  const count = async () =>
    Number((await sql('select count(*) as n from invalidation.event')).rows[0].n)

  async function snapshotNow(): Promise<Snapshot> {
    const { rows } = await sql('select pg_current_snapshot()::text as now')
    return parseSnapshot(String(rows[0]?.now)) as Snapshot
  }

  async function isWithin(since: Snapshot): Promise<boolean> {
    const readSnapshot = await beginReading(log.client)
    await sql('commit')
    return isRetained(since, readSnapshot)
  }

  /**
   * Prunes once per simulated minute, recording the cursors of an invalidator if one is given.
   */
  async function pass(minutes: number, beside?: TestInvalidator): Promise<PruneResult[]> {
    const results: PruneResult[] = []
    for (let minute = 0; minute < minutes; minute++) {
      aheadS += 60
      if (beside) {
        const { invalidationStore, buckets } = beside
        const identity = await createIdentityReader(buckets)()
        const cursors = await Promise.all(
          BIRDS.map(async ({ name }) => ({
            resource: name,
            snapshot: decodeWatermark(await invalidationStore.read(name))?.snapshot.text ?? '',
          })),
        )
        await recordCursors(log.client, identity, cursors)
      }
      results.push(await pruneEventLog(log.client, { aheadS }))
    }
    return results
  }

  /** Writes continuously, and fails if a write has to wait for more than 250 ms. */
  async function startImpatientWriter(): Promise<Repetition> {
    const writer = await log.connect()
    await writer.query(`set lock_timeout = '250ms'`)
    return repeat((round) => writer.query('insert into bird (id) values ($1)', [1000 + round]))
  }

  async function start(options: { prefix?: string; redisUrl?: string } = {}) {
    const record = recordKeys()
    const invalidator = startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      heartbeatMs: 20,
      wrapInvalidationStore: record.wrapInvalidationStore,
      ...options,
    })
    await until(() => invalidator.working)
    return { invalidator, record }
  }

  it('are kept for a transaction that outlasts them, and no writer waits', async () => {
    const { invalidator, record } = await start()
    await using _ = invalidator
    const { key, put, left } = entriesOf(invalidator.redis, invalidator.prefix)
    const long = await log.connect()
    await long.query('begin; insert into bird values (1)')
    const writing = await startImpatientWriter()

    expect(await pass(40, invalidator)).not.to.include('emptied')
    expect(await writing.stop()).to.be.greaterThan(0)
    const flushes = record.flushed.length
    await put([key(bird, 1), key(bird, 2)])
    await long.query('commit')
    await until(async () => (await left([key(bird, 1)])).length === 0)
    expect(await left([key(bird, 2)])).to.eql([key(bird, 2)])
    expect(record.flushed).to.have.lengthOf(flushes)

    await until(async () => (await pass(40, invalidator)).includes('emptied'))
    expect(await count()).to.equal(0)
  })

  it('are kept during a dump, which sees all of them and blocks no writer', async () => {
    const { invalidator } = await start()
    await using _ = invalidator
    await sql('insert into bird values (1)')
    const dump = await log.connect()
    // As pg_dump does: one snapshot for all tables, and a lock on each before it is read.
    await dump.query('begin isolation level repeatable read read only')
    const tables = await dump.query<{ name: string }>(
      `select oid::regclass::text as name from pg_class
       where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'invalidation'::regnamespace)`,
    )
    for (const { name } of tables.rows) await dump.query(`lock table ${name} in access share mode`)
    const writing = await startImpatientWriter()

    expect(await pass(40, invalidator)).not.to.include('emptied')
    const { rows } = await dump.query(
      `select (select count(*)::int from invalidation.event) as events,
              (select count(*)::int from bird) as birds`,
    )
    expect(rows).to.eql([{ events: 1, birds: 1 }])
    await dump.query('commit')
    expect(await writing.stop()).to.be.greaterThan(0)
    await until(async () => (await pass(1, invalidator)).includes('emptied'))
  })

  it('are pruned during a long outage of Redis, after which everything is flushed', async () => {
    await using proxy = await createRedisProxy()
    await proxy.listen()
    const prefix = newPrefix()
    const { invalidator, record } = await start({ prefix, redisUrl: proxy.url })
    await using _ = invalidator
    // Only the invalidator is disconnected from the stored entries.
    const { redis } = openTestRedis(testRedisUrl(), prefix)
    await untilReady(redis)
    const { key, put, left } = entriesOf(redis, prefix)
    const kept = [key(bird, 1), key(nest, 2), key(census)]
    await put(kept)

    const before = await snapshotNow()
    await proxy[Symbol.asyncDispose]()
    await until(() => !invalidator.working)
    await sql('insert into bird values (1)')
    await sql(`update invalidation.cursor set recorded_at = now() - interval '11 minutes'`)
    for (let minute = 0; minute < 60; minute++) {
      await sql(`insert into invalidation.event values (
        (extract(epoch from clock_timestamp() + ${aheadS} * interval '1 s')::bigint / 300) % 4,
        pg_current_xact_id(), 1, 1, 'I', -1, '[["7","7"]]', now())`)
      await pass(1)
      expect(await count()).to.be.at.most(26)
    }
    expect(await isWithin(before), 'the first event is gone').to.be.false

    const flushes = record.flushed.length
    await proxy.listen()
    await until(() => invalidator.working)
    await until(() => record.flushed.length >= flushes + BIRDS.length)
    expect(record.flushed.slice(flushes)).to.have.members(BIRDS.map(({ name }) => name))
    await until(async () => (await left(kept)).length === 0)

    await put(kept)
    await sql(`update bird set weight = 1 where id = 1`)
    await until(async () => (await left([key(census)])).length === 0)
    expect(await left([key(nest, 2)]), 'exact again').to.eql([key(nest, 2)])
    redis.disconnect()
  })

  it('are pruned by the invalidator itself, even while Redis is down', async () => {
    await using proxy = await createRedisProxy()
    await proxy.listen()
    const { invalidator } = await start({ redisUrl: proxy.url })
    await using _ = invalidator
    await proxy[Symbol.asyncDispose]()
    await until(() => !invalidator.working)
    // An event in the segment that is due, and an old checkpoint that has seen it.
    await sql(`insert into invalidation.event values (
      ((extract(epoch from clock_timestamp())::bigint / 300) + 1) % 4,
      pg_current_xact_id(), 1, 1, 'I', -1, '[["7","7"]]', now())`)
    await sql(`delete from invalidation.checkpoint;
      insert into invalidation.checkpoint values (now() - interval '11 minutes', pg_current_snapshot())`)
    // A new session prunes at once.
    await sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'spms-test' and datname = current_database()`,
    )
    await until(async () => (await count()) === 0)
  })

  it('cannot be emptied while an invalidator is connected, and the error names it', async () => {
    const { invalidator } = await start()
    await using _ = invalidator
    await sql('insert into bird values (1)')
    const error = await emptyLog(log.url).catch((error: unknown) => error)
    expect(error).to.be.instanceOf(InvalidatorRunning)
    expect(String(error)).to.match(/an invalidator is connected: pid \d+ \(.*spms-test.*\)/)
    expect(await count()).to.equal(1)
  })

  it('cannot be read by an invalidator that connects while they are emptied', async () => {
    const emptier = await log.connect()
    await emptier.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, LOCK.invalidator])
    const open = () =>
      openWorkerSession({
        url: log.url,
        applicationName: 'spms-test',
        statementTimeoutMs: 10_000,
      })
    const writeError = await open().then(
      () => null,
      (error: unknown) => String(error),
    )
    expect(writeError).to.include('the event log is being emptied')
    await emptier.end()
    await until(() =>
      open().then(
        async (session) => {
          await session[Symbol.asyncDispose]()
          return true
        },
        () => false,
      ),
    )
  })

  describe('without an invalidator', () => {
    const spms = async (prefix: string, verb: string) =>
      (await runCli({ databaseUrl: log.url, redisUrl: testRedisUrl(), prefix }, verb)).output

    it('are reported as growing, can be emptied, and a later invalidator flushes everything', async () => {
      const first = await start()
      const { prefix } = first.invalidator
      await first.invalidator[Symbol.asyncDispose]()
      const before = await snapshotNow()
      for (let id = 1; id <= 3; id++) await sql(`insert into bird values (${id})`)

      expect(await spms(prefix, 'status'))
        .to.match(/event log +3 events, \d+ KiB/)
        .and.match(/invalidator +NONE is running/)
      const findings = await examine({
        databaseUrl: log.url,
        redisUrl: testRedisUrl(),
        prefix,
        maxStalenessMs: 10_000,
      })
      const finding = findings.find(({ what }) => what === 'no invalidator is running')
      expect(finding).to.include({ kind: 'wrong' })
      expect(finding?.why).to.contain('the log grows (3 events)')

      expect(await isWithin(before)).to.be.true
      expect(await spms(prefix, 'empty-log')).to.equal('3 events removed\n')
      expect(await count()).to.equal(0)
      expect(await isWithin(before)).to.be.false
      expect(await spms(prefix, 'status')).to.match(/event log +0 events/)

      const later = await start({ prefix })
      await using _ = later.invalidator
      await until(() => later.record.flushed.length === BIRDS.length)
      const { key, put, left } = entriesOf(later.invalidator.redis, prefix)
      await put([key(bird, 4), key(bird, 5)])
      await sql('insert into bird values (4)')
      await until(async () => (await left([key(bird, 4)])).length === 0)
      expect(await left([key(bird, 5)])).to.eql([key(bird, 5)])
    })

    it('are emptied after the transactions that have logged end, while other writers continue', async () => {
      const long: Client = await log.connect()
      await long.query('begin; insert into bird values (1)')
      const before = await snapshotNow()
      const writing = await startImpatientWriter()
      let emptied = false
      const emptying = emptyLog(log.url).then(() => (emptied = true))
      await until(async () => {
        const { rowCount } = await sql(
          `select from pg_locks where mode = 'AccessExclusiveLock' and not granted`,
        )
        return rowCount !== 0
      })
      expect(emptied).to.be.false
      await long.query('commit')
      await emptying
      expect(await writing.stop()).to.be.greaterThan(0)
      const { rows } = await sql(
        `select count(*)::int as n from invalidation.event where keys::text like '%"1"%'`,
      )
      expect(rows).to.eql([{ n: 0 }])
      expect(await isWithin(before), 'a reader that has not seen the event detects the gap').to.be
        .false
    })
  })
})
