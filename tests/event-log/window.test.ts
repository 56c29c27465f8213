import { expect } from 'chai'
import fc from 'fast-check'
import type { Client } from 'pg'
import {
  beginReading,
  includes,
  isRetained,
  openWorkerSession,
  pruneEventLog,
  type ReadSnapshot,
  readWindow,
  recordCursors,
  type Snapshot,
  type Window,
  type WorkerSession,
} from '../../db/event-log/index.ts'
import { rewriteSql } from '../support/rewritten.ts'
import { until } from '../support/until.ts'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

describe('window of the event log', () => {
  let log: EventLog
  let session: WorkerSession

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
    session = await openWorkerSession({
      url: log.url,
      applicationName: 'spms-test-reader',
      statementTimeoutMs: 10_000,
    })
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  beforeEach(() =>
    log.client.query(
      'truncate bird, ring; delete from invalidation.event; delete from invalidation.retention_floor',
    ),
  )

  interface Reading extends ReadSnapshot {
    readonly window: Window
  }

  async function read(since?: Snapshot): Promise<Reading> {
    const readSnapshot = await beginReading(session.client)
    // The time budget must not limit what is read on a busy machine.
    const window = await readWindow(session.client, since ?? readSnapshot.snapshot, 30_000)
    await session.client.query('commit')
    return { ...readSnapshot, window }
  }

  const idsOf = ({ window }: Reading) =>
    window.events.flatMap(({ keys }) => keys?.map((key) => Number(key[0])) ?? [])

  it('contains what was committed after one snapshot and is visible in the next', async () => {
    const first = await read()
    expect(first.window).to.eql({ events: [], coarse: false, count: 0 })
    await log.client.query(`insert into bird values (1, 'wren')`)
    const second = await read(first.snapshot)
    expect(second.window.count).to.equal(1)
    expect(second.window.events[0]).to.include({ version: 1, tableId: 1, op: 'I', changed: -1n })
    expect(second.window.events[0]?.keys).to.eql([['1', null]])
    expect(Date.now() - (second.window.events[0]?.atMs ?? 0)).to.be.within(-60_000, 60_000)
    expect((await read(second.snapshot)).window.count).to.equal(0)
  })

  it('is not delayed by a long transaction, and contains its events after the commit', async () => {
    const long = await log.connect()
    await long.query('begin; insert into bird values (1)')
    const first = await read()
    await log.client.query('insert into bird values (2)')
    const second = await read(first.snapshot)
    expect(idsOf(second)).to.eql([2])
    const third = await read(second.snapshot)
    expect(third.window.count).to.equal(0)
    await long.query('insert into bird values (3); commit')
    expect(idsOf(await read(third.snapshot))).to.have.members([1, 3])
    await long.end()
  })

  it('contains every committed event exactly once, however transactions overlap', async function () {
    this.timeout(60_000)
    const writers = await Promise.all(Array.from({ length: 5 }, () => log.connect()))
    const writer = fc.nat(writers.length - 1)
    const action = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), by: writer }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('write many' as const), by: writer }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('commit' as const), by: writer }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('rollback' as const), by: writer }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('savepoint' as const), by: writer }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant('back to savepoint' as const), by: writer }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('write alone' as const), by: writer }) },
      { weight: 4, arbitrary: fc.constant({ do: 'read' as const }) },
    )
    let id = 0

    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60 }), async (schedule) => {
        /**
         * The ids that each open transaction has inserted, and their number at each of its
         * savepoints.
         */
        const open = new Map<number, { ids: number[]; savepoints: number[] }>()
        let committed: number[] = []
        let { snapshot } = await read()

        const check = async () => {
          const reading = await read(snapshot)
          expect(includes(reading.snapshot, snapshot), 'snapshots only move forward').to.be.true
          expect(idsOf(reading)).to.have.members(committed)
          snapshot = reading.snapshot
          committed = []
        }
        const begin = async (by: number, client: Client) => {
          const transaction = open.get(by) ?? { ids: [], savepoints: [] }
          if (!open.has(by)) await client.query('begin')
          open.set(by, transaction)
          return transaction
        }
        const end = async (by: number, client: Client, how: 'commit' | 'rollback') => {
          const transaction = open.get(by)
          if (!transaction) return
          await client.query(how)
          open.delete(by)
          if (how === 'commit') committed.push(...transaction.ids)
        }
        const steps = {
          async write(by: number, client: Client) {
            const { ids } = await begin(by, client)
            ids.push(++id)
            await client.query('insert into bird values ($1)', [id])
          },
          async 'write many'(by: number, client: Client) {
            const { ids } = await begin(by, client)
            const first = id + 1
            id += 700
            for (let one = first; one <= id; one++) ids.push(one)
            await client.query('insert into bird select generate_series($1::int, $2::int)', [
              first,
              id,
            ])
          },
          async 'write alone'(by: number, client: Client) {
            if (open.has(by)) return
            committed.push(++id)
            await client.query('insert into bird values ($1)', [id])
          },
          async savepoint(by: number, client: Client) {
            const { ids, savepoints } = await begin(by, client)
            await client.query(`savepoint s${savepoints.length}`)
            savepoints.push(ids.length)
          },
          async 'back to savepoint'(by: number, client: Client) {
            const transaction = open.get(by)
            const length = transaction?.savepoints.pop()
            if (!transaction || length === undefined) return
            await client.query(`rollback to s${transaction.savepoints.length}`)
            transaction.ids.length = length
          },
          commit: (by: number, client: Client) => end(by, client, 'commit'),
          rollback: (by: number, client: Client) => end(by, client, 'rollback'),
        }

        for (const step of schedule) {
          if (step.do === 'read') await check()
          else await steps[step.do](step.by, writers[step.by] as Client)
        }
        for (const [by, client] of writers.entries()) {
          await end(by, client, by % 2 === 0 ? 'commit' : 'rollback')
        }
        await check()
      }),
      { seed: 2, numRuns: 60 },
    )
    await Promise.all(writers.map((client) => client.end()))
  })

  it('excludes events that a dump brought from another cluster', async () => {
    const { snapshot } = await read()
    await log.client.query(`insert into invalidation.event
      values (0, '999999999999', 1, 1, 'I', -1, '[["1"]]', now())`)
    expect((await read(snapshot)).window.count).to.equal(0)
  })

  it('would contain events of another cluster for ever without its upper bound', async () => {
    await using unbounded = rewriteSql(
      await openWorkerSession({
        url: log.url,
        applicationName: 'spms-test-unbounded',
        statementTimeoutMs: 10_000,
      }),
      { part: 'xid < pg_snapshot_xmax(pg_current_snapshot())', by: 'true' },
    )
    await log.client.query(`insert into invalidation.event
      values (0, '999999999999', 1, 1, 'I', -1, '[["1"]]', now())`)
    for (let times = 0; times < 2; times++) {
      const { snapshot } = await beginReading(unbounded.client)
      expect((await readWindow(unbounded.client, snapshot)).count).to.equal(1)
      await unbounded.client.query('commit')
    }
  })

  it('is read by index, however many events the segments contain', async () => {
    await insertEvents(20_000)
    const { snapshot } = await read()
    await log.client.query('insert into bird values (1)')
    await read(snapshot)
    await insertEvents(300)
    await read(snapshot)
    await session.client.query(`begin; set local enable_seqscan = off`)
    const names = ['invalidation-window-head', 'invalidation-window-size']
    for (const name of names) {
      const { rows } = await session.client.query<{ 'QUERY PLAN': string }>(
        `explain (analyze, buffers) execute "${name}"('${snapshot.xmax}', '{${snapshot.xip.join()}}')`,
      )
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      expect(plan).not.to.match(/Seq Scan/)
      const pages = Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1])
      expect(pages, plan).to.be.below(60)
    }
    await session.client.query('rollback')
  })

  it('reflects a retention floor that was raised while it waited for a table lock', async () => {
    const { snapshot } = await read()
    await log.client.query('insert into bird values (1)')
    const emptier = await log.connect()
    await emptier.query('begin; lock table invalidation.event in access exclusive mode')
    const reading = Promise.all([
      beginReading(session.client),
      readWindow(session.client, snapshot),
    ])
    await until(async () => {
      const { rowCount } = await log.client.query(
        `select from pg_locks where not granted and relation = 'invalidation.event'::regclass`,
      )
      return rowCount === 1
    })
    await emptier.query(
      `insert into invalidation.retention_floor values (true, pg_current_snapshot());
       set local invalidation.keeps_incarnation = on; truncate invalidation.event; commit`,
    )
    const [readSnapshot, window] = await reading
    await session.client.query('commit')
    expect(window.count, 'the event is gone').to.equal(0)
    expect(isRetained(snapshot, readSnapshot)).to.be.false
    await emptier.end()
  })

  it('is reported as incomplete when a segment is detached', async () => {
    await log.client.query('alter table invalidation.event detach partition invalidation.event_0')
    const { isComplete } = await beginReading(session.client)
    await session.client.query('rollback')
    await log.client.query(
      'alter table invalidation.event attach partition invalidation.event_0 for values in (0)',
    )
    expect(isComplete).to.equal(false)
  })

  describe('of many events', () => {
    it('contains single events up to 50,000', async () => {
      const { snapshot } = await read()
      await insertEvents(50_000)
      const { window } = await read(snapshot)
      expect(window).to.include({ coarse: false, count: 50_000 })
      expect(window.events).to.have.lengthOf(50_000)
    })

    it('contains each table once above 50,000, and every flush', async () => {
      const { snapshot } = await read()
      await insertEvents(49_998)
      await log.client.query(`insert into nest values (9); delete from nest where id = 9;
        select invalidation.flush('a'); select invalidation.flush('b')`)
      const { window } = await read(snapshot)
      expect(window).to.include({ coarse: true, count: 50_002 })
      const facts = window.events.map(({ tableId, op, changed, keys }) => [
        tableId,
        op,
        changed,
        keys,
      ])
      expect(facts).to.have.deep.members([
        [1, 'U', -1n, null],
        [2, 'I', -1n, null],
        [2, 'D', -1n, null],
        [0, 'F', -1n, ['a']],
        [0, 'F', -1n, ['b']],
      ])
    })

    it('contains each table once above 8 MiB of keys', async () => {
      const { snapshot } = await read()
      await log.client.query(
        `insert into invalidation.event
         select 0, pg_current_xact_id(), 1, 1, 'U', 1, json_build_array(json_build_array(
           (select string_agg(md5(n::text || i), '') from generate_series(1, 400) i))), now()
         from generate_series(1, 1400) n`,
      )
      const { window } = await read(snapshot)
      expect(window).to.include({ coarse: true, count: 1400 })
      expect(window.events).to.have.lengthOf(1)
    })
  })

  async function insertEvents(count: number): Promise<void> {
    await log.client.query(
      `insert into invalidation.event
       select n % 4, pg_current_xact_id(), 1, 1, 'U', 1, '[["1","2"]]', now() from generate_series(1, $1::int) n`,
      [count],
    )
  }

  describe('that begins before the oldest retained event', () => {
    /** Empties every segment written until now, as if twenty minutes had passed. */
    async function rotateSegments(): Promise<void> {
      for (let aheadS = 0; aheadS <= 2400; aheadS += 60) {
        await recordCursors(log.client, 'r', [
          { resource: 'x', snapshot: (await read()).snapshot.text },
        ])
        await pruneEventLog(log.client, { aheadS })
      }
    }

    it('is not retained', async () => {
      const old = await read()
      await log.client.query('insert into bird values (1)')
      await rotateSegments()
      const now = await read()
      expect((await read(old.snapshot)).window.count, 'the event is gone').to.equal(0)
      expect(isRetained(old.snapshot, now)).to.be.false
      expect(isRetained(now.snapshot, now)).to.be.true
    })

    it('is still retained despite a retention floor that a dump brought from another cluster', async () => {
      const before = await read()
      await log.client.query(
        `insert into invalidation.retention_floor values (true, '900000000000:900000000000:')`,
      )
      const now = await read()
      expect(now.retentionFloor?.xmax).to.equal(900000000000n)
      expect(isRetained(before.snapshot, now)).to.be.true
    })

    it('prevents segments from being emptied while it is read', async () => {
      await insertEvents(1)
      await beginReading(session.client)
      const error = await log.client
        .query(`begin; lock table only invalidation.event_2 in access exclusive mode nowait`)
        .catch((error: unknown) => error)
      await log.client.query('rollback')
      await session.client.query('commit')
      expect(String(error)).to.include('could not obtain lock')
    })
  })
})
