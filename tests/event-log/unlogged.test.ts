import { expect } from 'chai'
import { Client } from 'pg'
import { findLoggedSegments, install } from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { crashBackend } from '../support/crash-backend.ts'
import { type CopyablePostgres, startPrivatePostgres } from '../support/private-postgres.ts'
import { until } from '../support/until.ts'

/** State of a server before or after a restart. */
interface State {
  readonly events: number
  /** The recorded incarnation, even if it is not current. */
  readonly recorded: string | null
  readonly current: string | null
  readonly startedAt: string
}

describe('unlogged segments', function () {
  this.timeout(90_000)
  let postgres: CopyablePostgres

  before(async () => {
    postgres = await startPrivatePostgres({
      seeded: false,
      settings: { autovacuum: 'off', checkpoint_timeout: '1h' },
    })
    await query(
      postgres.url,
      `insert into agencies_affiliation (created_at, updated_at, name) values (now(), now(), 'none')`,
    )
  })
  after(() => postgres[Symbol.asyncDispose]())
  beforeEach(() => query(postgres.url, 'select invalidation.begin_incarnation()'))

  const log = (name: string) =>
    query(postgres.url, 'update agencies_affiliation set name = $1', [name])

  /** Logs an event, and returns the state with it. */
  async function prepare(): Promise<State> {
    await log(`at ${performance.now()}`)
    const state = await stateOf(postgres.url)
    expect(state.events).to.be.at.least(1)
    expect(state.current).not.to.equal(null)
    return state
  }

  /** Expects that the events are gone, and that the incarnation ended with them. */
  async function expectReset(url: string, before: State): Promise<State> {
    const after = await stateOf(url)
    expect(after).to.include({ events: 0, recorded: null, current: null })
    await query(url, 'select invalidation.begin_incarnation()')
    const { current } = await stateOf(url)
    expect(current).to.be.a('string').and.not.equal(before.current)
    return after
  }

  it('are emptied together with the incarnation if one backend crashes, although the server keeps its start time', async () => {
    const before = await prepare()
    await crashBackend(postgres.url)
    const after = await expectReset(postgres.url, before)
    expect(after.startedAt).to.equal(before.startedAt)
  })

  it('are emptied together with the incarnation by a crash of the server', async () => {
    const before = await prepare()
    await postgres.crash()
    await postgres.start()
    await expectReset(postgres.url, before)
  })

  it('are empty in a base backup, together with the incarnation', async () => {
    const before = await prepare()
    await using backup = await postgres.copy({ baseBackup: true })
    await expectReset(backup.url, before)
    expect(await stateOf(postgres.url)).to.eql(before)
  })

  it('keep their events through a regular restart, which ends the incarnation', async () => {
    const before = await prepare()
    await postgres.stop()
    await postgres.start()
    expect(await stateOf(postgres.url)).to.include({ events: before.events, current: null })
  })

  it('are emptied together with the incarnation by a promotion', async () => {
    const before = await prepare()
    await postgres.stop()
    {
      await using standby = await postgres.copy({ standby: true })
      await query(standby.url, 'select pg_promote()')
      await expectReset(standby.url, before)
    }
    await postgres.start()
  })

  it('end the incarnation if one of them is emptied by hand', async () => {
    const before = await prepare()
    await query(
      postgres.url,
      'truncate invalidation.event_0, invalidation.event_1, invalidation.event_2, invalidation.event_3',
    )
    await expectReset(postgres.url, before)
    await query(postgres.url, `set session_replication_role = replica; truncate invalidation.event`)
    expect(await stateOf(postgres.url)).to.include({ recorded: null, current: null })
  })

  it('keep the incarnation if a TRUNCATE by hand is rolled back', async () => {
    const before = await prepare()
    await query(postgres.url, 'begin; truncate invalidation.event; rollback')
    expect(await stateOf(postgres.url)).to.eql(before)
  })

  it('may be logged: their events then survive a crash, but the incarnation does not', async () => {
    const before = await prepare()
    for (const n of [0, 1, 2, 3]) {
      await query(postgres.url, `alter table invalidation.event_${n} set logged`)
    }
    expect(await stateOf(postgres.url)).to.eql(before)
    await crashBackend(postgres.url)
    expect(await stateOf(postgres.url)).to.include({ events: before.events, recorded: null })
    await withClient(postgres.url, async (client) => {
      expect(await findLoggedSegments(client)).to.have.lengthOf(4)
      await install(postgres.url, compileRules(catalog))
      expect(await findLoggedSegments(client)).to.eql([])
    })
    expect(await stateOf(postgres.url)).to.include({ events: before.events })
  })

  it('write no WAL: a watched update writes as much as an unwatched one', async () => {
    const bytesOf = (triggers: string) =>
      withClient(postgres.url, async (client) => {
        await client.query(`alter table agencies_affiliation ${triggers}`)
        const position = async () => {
          const { rows } = await client.query<{ bytes: string }>(
            `select pg_current_wal_insert_lsn() - '0/0' as bytes`,
          )
          return Number(rows[0]?.bytes)
        }
        // Dead index entries of the previous updates would change the WAL of the next ones.
        await client.query('vacuum full agencies_affiliation')
        await client.query('checkpoint')
        const before = await position()
        for (let n = 0; n < UPDATES; n++) {
          await client.query('update agencies_affiliation set name = $1', [`name ${1000 + n}`])
        }
        return ((await position()) - before) / UPDATES
      })
    const { events } = await prepare()
    const unwatched = await bytesOf('disable trigger all')
    expect((await stateOf(postgres.url)).events).to.equal(events)
    const watched = await bytesOf(
      `enable always trigger zz_invalidation_insert, enable always trigger zz_invalidation_update,
       enable always trigger zz_invalidation_delete, enable always trigger zz_invalidation_truncate`,
    )
    expect((await stateOf(postgres.url)).events).to.equal(events + UPDATES)
    // Page headers and running transactions, which Postgres logs now and then, cause the rest.
    expect(watched / unwatched, `${watched} and ${unwatched} bytes`).to.be.within(0.98, 1.02)
  })
})

const UPDATES = 2_000

async function stateOf(url: string): Promise<State> {
  let rows: State[] = []
  // After a crash the server rejects connections until it has recovered.
  await until(() =>
    query<State>(
      url,
      `select (select count(*)::integer from invalidation.event) as events,
              (select id from invalidation.incarnation) as recorded,
              (select id from invalidation.current_incarnation) as current,
              pg_postmaster_start_time()::text as "startedAt"`,
    ).then(
      (found) => {
        rows = found
        return true
      },
      () => false,
    ),
  )
  return rows[0] as State
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const query = <Row extends object>(
  url: string,
  text: string,
  values: readonly string[] = [],
): Promise<Row[]> =>
  withClient(url, async (client) =>
    values.length > 0
      ? (await client.query<Row>(text, [...values])).rows
      : (await client.query<Row>(text)).rows,
  )
