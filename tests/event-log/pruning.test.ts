import { expect } from 'chai'
import fc from 'fast-check'
import type { Client } from 'pg'
import {
  beginReading,
  includes,
  isRetained,
  openWorkerSession,
  parseSnapshot,
  pruneEventLog,
  readWindow,
  recordCursors,
  type Snapshot,
  type WorkerSession,
} from '../../db/event-log/index.ts'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

const MINUTE_S = 60

describe('event log pruning', () => {
  let log: EventLog
  let session: WorkerSession
  /** How far the test's clock is ahead, in seconds; it never goes back. */
  let aheadS: number

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
    session = await openWorkerSession({
      url: log.url,
      applicationName: 'spms-test-housekeeper',
      statementTimeoutMs: 10_000,
    })
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    aheadS = 0
    await log.client
      .query(`set invalidation.keeps_incarnation = on; truncate invalidation.event, invalidation.cursor, invalidation.checkpoint,
      invalidation.retention_floor`)
  })

  const prune = (client: Client = session.client) => pruneEventLog(client, { aheadS })

  /** Prunes once per simulated minute and returns the results. */
  async function pass(minutes: number, beforeEach?: () => Promise<void>): Promise<string[]> {
    const results: string[] = []
    for (let minute = 0; minute < minutes; minute++) {
      aheadS += MINUTE_S
      await beforeEach?.()
      results.push(await prune())
    }
    return results
  }

  /** Writes an event to the segment of the simulated time. */
  const write = (id: number, client: Client = log.client) =>
    client.query(
      `insert into invalidation.event values (
         (extract(epoch from clock_timestamp() + $1 * interval '1 s')::bigint / 300) % 4,
         pg_current_xact_id(), 1, 1, 'I', -1, json_build_array(json_build_array($2::text)), now())`,
      [aheadS, id],
    )

  async function snapshot(): Promise<string> {
    const { rows } = await log.client.query<{ now: string }>(
      `select pg_current_snapshot()::text as now`,
    )
    return rows[0]?.now as string
  }

  const count = async () =>
    Number((await log.client.query('select count(*) as n from invalidation.event')).rows[0].n)

  const record = async (resource: string, at?: string) =>
    recordCursors(log.client, 'redis', [{ resource, snapshot: at ?? (await snapshot()) }])

  const recordCurrent = () => record('a')

  it('empties a segment ten minutes after every cursor has passed it, and raises the retention floor', async () => {
    await write(1)
    const results = await pass(25, recordCurrent)
    expect(results.filter((result) => result === 'emptied')).to.have.lengthOf(1)
    expect(await count()).to.equal(0)
    const { rows } = await log.client.query<{ snapshot: string }>(
      'select snapshot from invalidation.retention_floor',
    )
    const retentionFloor = parseSnapshot(rows[0]?.snapshot ?? '') as Snapshot
    expect(includes(parseSnapshot(await snapshot()) as Snapshot, retentionFloor)).to.be.true
  })

  it('keeps at least ten minutes of events', async () => {
    for (let minute = 0; minute < 60; minute++) {
      await write(minute)
      await pass(1, recordCurrent)
      const { rows } = await log.client.query<{ ids: number[] }>(
        'select array_agg((keys->0->>0)::int) as ids from invalidation.event',
      )
      const youngest = Array.from({ length: Math.min(minute + 1, 10) }, (_, i) => minute - i)
      expect(rows[0]?.ids).to.include.members(youngest)
      expect(rows[0]?.ids.length).to.be.at.most(25)
    }
  })

  it('keeps events that one cursor has not passed', async () => {
    await record('slow')
    await write(1)
    expect(await pass(45, recordCurrent)).not.to.include('emptied')
    expect(await count()).to.equal(1)
    const both = async () => {
      await recordCurrent()
      await record('slow')
    }
    expect(await pass(45, both)).to.include('emptied')
    expect(await count()).to.equal(0)
  })

  it('keeps events that were written long ago and committed just now', async () => {
    const long = await log.connect()
    await long.query('begin')
    await write(1, long)
    expect(await pass(30, recordCurrent)).not.to.include('emptied')
    await long.query('commit')
    expect(await pass(9, recordCurrent)).not.to.include('emptied')
    expect(await count()).to.equal(1)
    await long.end()
  })

  it('never waits for a writer', async () => {
    await write(1)
    await pass(10, recordCurrent)
    const writer = await log.connect()
    const results = new Map<string, string[]>()
    for (let minute = 0; minute < 10; minute++) {
      aheadS += MINUTE_S
      await recordCurrent()
      for (const mode of ['row exclusive', 'access exclusive']) {
        await writer.query(`begin; lock table invalidation.event in ${mode} mode`)
        results.set(mode, [...(results.get(mode) ?? []), await prune()])
        await writer.query('commit')
      }
    }
    for (const [mode, found] of results) {
      expect(found, mode).to.include('busy').and.not.include('emptied')
    }
    await writer.end()
  })

  it('causes no failed statement when a segment is locked, so the server logs no error', async () => {
    await write(1)
    await pass(10, recordCurrent)
    const dump = await log.connect()
    await dump.query('begin; lock table invalidation.event in access share mode')
    const failed: string[] = []
    const client = await log.connect()
    const query = client.query.bind(client)
    client.query = ((...sent: Parameters<typeof query>) =>
      (query(...sent) as unknown as Promise<unknown>).catch((error: unknown) => {
        failed.push(String(error))
        throw error
      })) as unknown as typeof query
    const results = []
    for (let minute = 0; minute < 10; minute++) {
      aheadS += MINUTE_S
      await recordCurrent()
      results.push(await prune(client))
    }
    expect(results).to.include('busy')
    expect(failed).to.eql([])
    await dump.query('commit')
    await Promise.all([dump.end(), client.end()])
  })

  it('locks no empty segment, so it cancels no dump on a standby', async () => {
    await pass(10, recordCurrent)
    const dump = await log.connect()
    await dump.query('begin; lock table invalidation.event in access share mode')
    expect(new Set(await pass(15, recordCurrent))).to.eql(new Set(['nothing to empty']))
    await dump.query('commit')
    await dump.end()
  })

  it('does nothing while another replica prunes', async () => {
    const other = await log.connect()
    await other.query('select pg_advisory_lock(1397771603, 2)')
    expect(await prune()).to.equal('locked')
    await other.query('select pg_advisory_unlock(1397771603, 2)')
    expect(await prune()).not.to.equal('locked')
    await other.end()
  })

  it('keeps little more than ten minutes without an active cursor, so that no outage fills the disk', async () => {
    await record('dead')
    await log.client.query(
      `update invalidation.cursor set recorded_at = now() - interval '11 minutes'`,
    )
    const old = parseSnapshot(await snapshot()) as Snapshot
    for (let minute = 0; minute < 90; minute++) {
      await write(minute)
      await pass(1)
      const { rows } = await log.client.query<{ ids: number[] }>(
        'select array_agg((keys->0->>0)::int) as ids from invalidation.event',
      )
      const youngest = Array.from({ length: Math.min(minute + 1, 10) }, (_, i) => minute - i)
      expect(rows[0]?.ids).to.include.members(youngest)
      expect(rows[0]?.ids.length).to.be.at.most(25)
    }
    const readSnapshot = await beginReading(session.client)
    await session.client.query('commit')
    expect(isRetained(old, readSnapshot), 'the gap of the dead cursor is detected').to.be.false
  })

  it('ignores a cursor that has not advanced for ten minutes', async () => {
    await record('dead')
    await write(1)
    await log.client.query(
      `update invalidation.cursor set recorded_at = now() - interval '11 minutes'`,
    )
    expect(await pass(25, recordCurrent)).to.include('emptied')
    expect(await count()).to.equal(0)
  })

  it('ignores cursors and checkpoints that a dump brought from another cluster', async () => {
    const foreign = '900000000000:900000000000:'
    await record('a')
    await log.client.query(
      `insert into invalidation.checkpoint values (now() - interval '1 hour', '${foreign}')`,
    )
    await record('elsewhere', foreign)
    await write(1)
    expect(await pass(45)).not.to.include('emptied')
    expect(await count()).to.equal(1)
  })

  it('treats events of another cluster as seen', async () => {
    await log.client.query(`insert into invalidation.event values (
      (extract(epoch from now())::bigint / 300) % 4, '900000000000', 1, 1, 'I', -1, '[["1"]]', now())`)
    expect(await pass(25, recordCurrent)).to.include('emptied')
  })

  it('never removes an event that a reader has not seen, in any order of steps', async function () {
    this.timeout(60_000)
    const writers = await Promise.all([log.connect(), log.connect(), log.connect()])
    const writer = fc.nat(writers.length - 1)
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant('write' as const), writer) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('commit' as const), writer) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('rollback' as const), writer) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('read' as const), fc.nat(1)) },
      {
        weight: 6,
        arbitrary: fc.tuple(fc.constant('pass' as const), fc.integer({ min: 20, max: 400 })),
      },
    )
    let emptied = 0
    let id = 0

    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 120 }), async (schedule) => {
        await log.client
          .query(`set invalidation.keeps_incarnation = on; truncate invalidation.event, invalidation.cursor, invalidation.checkpoint,
          invalidation.retention_floor`)
        const start = await snapshot()
        const readers = ['a', 'b'].map((name) => ({
          name,
          since: parseSnapshot(start) as Snapshot,
          unread: [] as number[],
        }))
        for (const { name } of readers) await record(name, start)
        const open = new Map<number, number[]>()

        const end = async (by: number, how: 'commit' | 'rollback') => {
          const ids = open.get(by)
          if (!ids) return
          open.delete(by)
          await writers[by]?.query(how)
          if (how === 'commit') for (const reader of readers) reader.unread.push(...ids)
        }
        const read = async (reader: (typeof readers)[number]) => {
          const readSnapshot = await beginReading(session.client)
          const { events } = await readWindow(session.client, reader.since)
          await session.client.query('commit')
          expect(isRetained(reader.since, readSnapshot)).to.be.true
          expect(events.flatMap(({ keys }) => keys?.map((key) => Number(key[0])))).to.have.members(
            reader.unread,
          )
          reader.since = readSnapshot.snapshot
          reader.unread = []
          await record(reader.name, readSnapshot.snapshot.text)
        }

        for (const [what, number] of schedule) {
          if (what === 'write') {
            const client = writers[number] as Client
            if (!open.has(number)) await client.query('begin')
            const ids = open.get(number) ?? []
            open.set(number, ids)
            ids.push(++id)
            await write(id, client)
          } else if (what === 'read') {
            await read(readers[number] as (typeof readers)[number])
          } else if (what === 'pass') {
            aheadS += number
            if ((await prune()) === 'emptied') emptied++
          } else {
            await end(number, what)
          }
        }
        for (const by of open.keys()) await end(by, 'commit')
        for (const reader of readers) await read(reader)
      }),
      { seed: 3, numRuns: 20 },
    )
    expect(emptied).to.be.greaterThan(8)
    await Promise.all(writers.map((client) => client.end()))
  })

  it('releases its lock in the next round after any statement has failed', async function () {
    this.timeout(60_000)
    const query = session.client.query.bind(session.client) as (
      ...args: unknown[]
    ) => Promise<unknown>
    const other = await log.connect()
    try {
      for (const when of ['before', 'after'] as const) {
        let hasFailed = true
        for (let failing = 1; hasFailed; failing++) {
          hasFailed = false
          let calls = 0
          session.client.query = (async (...args: unknown[]) => {
            const fails = ++calls === failing
            hasFailed ||= fails
            if (fails && when === 'before') throw new Error('injected')
            const result = await query(...args)
            if (fails) throw new Error('injected')
            return result
          }) as typeof session.client.query
          expect(await prune().catch(String)).to.be.oneOf(['Error: injected', 'still needed'])
          session.client.query = query as typeof session.client.query
          await prune()
          expect(await prune(other), `${when} statement ${failing}`).not.to.equal('locked')
        }
      }
    } finally {
      session.client.query = query as typeof session.client.query
      await other.end()
    }
  })
})
