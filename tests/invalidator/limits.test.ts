import { expect } from 'chai'
import { beginReading, readWindow } from '../../db/event-log/index.ts'
import type { ResourceRules } from '../../shared/cache/index.ts'
import { createTranslation } from '../../invalidator/index.ts'
import { createLogger } from '../../shared/logger.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { openWorker, type TestWorker } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, type Entries, entriesOf, openBirds } from './birds.ts'

describe('limits of the worker', function () {
  this.timeout(60_000)
  let log: EventLog
  let one: TestWorker & Entries

  beforeEach(async () => {
    log = await openBirds()
  })
  afterEach(async () => {
    await one[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })

  async function start(catalog: readonly ResourceRules[] = BIRDS): Promise<void> {
    const worker = await openWorker({
      databaseUrl: log.url,
      catalog,
      // Inspections must not cause flushes here.
      inspectEveryMs: 600_000,
    })
    one = { ...worker, ...entriesOf(worker.redis, worker.prefix) }
    one.worker.acquire(catalog)
    await one.worker.applyWindow()
    one.metrics.flushes.reset()
  }

  async function flushes(): Promise<Record<string, number>> {
    const { values } = await one.metrics.flushes.get()
    return Object.fromEntries(
      values.map(({ labels, value }) => [`${labels.resource}: ${labels.reason}`, value]),
    )
  }

  const write = (sql: string) => log.client.query(sql)

  it('flushes the resources of a table if one transaction changed more rows than the worker reads', async () => {
    await start()
    const keys = [one.key(bird, 7)]
    await one.put(keys)
    // Equals the log of 21 statements that change 5,000 rows each.
    await write(
      `insert into invalidation.event
       select 0, pg_current_xact_id(), 1, 1, 'U', -1, chunk.keys, now()
       from (select json_agg(json_build_array(id::text, '1')) as keys from generate_series(1, 500) id) chunk,
            generate_series(1, 210)`,
    )
    await one.worker.applyWindow()
    expect(await one.left(keys)).to.eql([])
    expect(await flushes()).to.eql({
      'bird: backlog': 1,
      'nest: backlog': 1,
      'census: backlog': 1,
    })
  })

  it('does not read oversized keys, and flushes the resources of their table', async () => {
    const wide: ResourceRules = {
      ...bird,
      staleWhen: [{ table: 'bird', watch: ['name'], key: { id: 'name' } }],
    }
    await log[Symbol.asyncDispose]()
    log = await openBirds([wide])
    await start([wide])
    await write(
      `insert into bird select id, (select string_agg(md5(id::text || n), '') from generate_series(1, 3000) n)
       from generate_series(1, 2) id`,
    )
    await one.worker.applyWindow()
    expect(await flushes()).to.eql({ 'bird: wide keys': 1 })
  })

  it('flushes a resource if a lookup finds more than 20,000 entries', async () => {
    await write(
      `set invalidation.mode = 'coarse';
       insert into bird select id, 'x', 1, '{}', 1 from generate_series(1, 20001) id;
       reset invalidation.mode`,
    )
    await start()
    const keys = [one.key(bird, 7)]
    await one.put(keys)
    await write(`update nest set place = 'y' where id = 1`)
    await one.worker.applyWindow()
    expect(await one.left(keys)).to.eql([])
    expect(await flushes()).to.eql({ 'bird: too many keys': 1 })
  })

  it('cancels a slow lookup after two seconds and flushes its resource', async () => {
    const slow: ResourceRules = {
      ...bird,
      staleWhen: [
        {
          table: 'nest',
          watch: ['place'],
          from: ['id'],
          query: 'select $1::text as id from pg_sleep(30)',
        },
      ],
    }
    await start([slow])
    await write(`update nest set place = 'y' where id = 1`)
    const startedAtMs = performance.now()
    await one.worker.applyWindow()
    // Two seconds, and a tolerance for a busy machine.
    expect(performance.now() - startedAtMs).to.be.below(5_000)
    expect(await flushes()).to.eql({ 'bird: lookup failed': 1 })
  })

  it('fails with the error of the session if it is lost while events are mapped', async () => {
    await start()
    const { client } = one.session
    const { snapshot } = await beginReading(client)
    await client.query('commit')
    await write(
      `insert into invalidation.event
       select 0, pg_current_xact_id(), 1, 1, 'U', -1, chunk.keys, now()
       from (select json_agg(json_build_array(id::text, '1')) as keys from generate_series(1, 500) id) chunk,
            generate_series(1, 20)`,
    )
    const lost = new Error('the session is lost')
    const translation = createTranslation({
      session: one.session,
      catalog: BIRDS,
      prefix: one.prefix,
      logger: createLogger('test'),
      pause: () => Promise.reject(lost),
    })
    await beginReading(client)
    const window = await readWindow(client, snapshot)
    const error = await translation.map(window, BIRDS).catch((error: unknown) => error)
    await client.query('commit')
    expect(error).to.equal(lost)
  })

  it('skips the events of a known transaction in progress by index', async () => {
    await start()
    const long = await log.connect()
    await long.query(
      `begin; insert into invalidation.event
       select 0, pg_current_xact_id(), 1, 1, 'U', 1, '[["1","2"]]', now() from generate_series(1, 50000)`,
    )
    // A snapshot lists transactions in progress only below the newest finished one.
    await write('select pg_current_xact_id()')
    const { client } = one.session
    const { snapshot } = await beginReading(client)
    await client.query('commit')
    expect(snapshot.xip).not.to.have.lengthOf(0)
    await beginReading(client)
    expect((await readWindow(client, snapshot)).count).to.equal(0)
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, buffers) execute "invalidation-window-head"('${snapshot.xmax}', '{${snapshot.xip.join()}}')`,
    )
    await client.query('commit')
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1]), plan).to.be.below(60)
    await long.query('commit')
    await beginReading(client)
    expect((await readWindow(client, snapshot)).count).to.equal(50_000)
    await client.query('commit')
    await long.end()
  })

  for (const [what, statement] of [
    ['was rewritten', 'alter table bird alter column name type char(40)'],
    [
      'was truncated and refilled',
      `create temporary table kept on commit drop as table bird;
       alter table bird disable trigger user; truncate bird cascade; insert into bird table kept;
       alter table bird enable trigger user`,
    ],
  ] as const) {
    it(`finds the entries of a lookup whose table ${what} while the lookup waited`, async () => {
      await write(`insert into bird values (1, 'wren', 9, '{}', 2)`)
      await start()
      const keys = [one.key(bird, 1)]
      await one.put(keys)
      const other = await log.connect()
      await other.query(`begin; ${statement}`)
      await write(`update nest set place = 'z' where id = 2`)
      const applied = one.worker.applyWindow()
      await until(async () => {
        const { rowCount } = await log.client.query(
          `select from pg_locks where not granted and relation = 'bird'::regclass`,
        )
        return rowCount !== 0
      })
      await other.query('commit')
      await applied
      expect(await one.left(keys)).to.eql([])
      await other.end()
    })
  }
})
