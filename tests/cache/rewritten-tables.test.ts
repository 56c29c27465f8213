import { expect } from 'chai'
import { sql } from 'kysely'
import { Client } from 'pg'
import { openDatabase } from '../../db/database.ts'
import { createSnapshotReader } from '../../shared/cache/read/snapshot-read.ts'
import { PublicError } from '../../shared/errors.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine, type TestReader } from './engine.ts'

/** Transactions that keep the rows but make older snapshots of the table empty. */
const REWRITES = [
  ['changes the type of a column', 'alter table entity alter column body type char(9)'],
  [
    'adds a column with a volatile default',
    `alter table entity drop column if exists made_at;
     alter table entity add column made_at timestamptz default clock_timestamp()`,
  ],
  ['makes the table unlogged', 'alter table entity set unlogged'],
  [
    'truncates and refills the table',
    `create temporary table kept on commit drop as table entity; truncate entity; insert into entity select * from kept`,
  ],
  [
    'replaces the table with a copy by renaming',
    `create table copied as table entity; alter table entity rename to old_entity;
     alter table copied rename to entity; drop table old_entity`,
  ],
  [
    'drops and recreates the table',
    `create temporary table kept on commit drop as table entity; drop table entity; create table entity as table kept`,
  ],
] as const

describe('reading while another transaction rewrites the table', () => {
  let engine: Engine
  let one: TestReader
  let other: Client
  const entity = defineEntity({
    staleWhen: [{ table: 'entity', watch: ['body'], key: { id: 'id' } }],
  })

  beforeEach(async () => {
    engine = await openEngine()
    one = await engine.openReader()
    other = new Client({ connectionString: engine.databaseUrl })
    other.on('error', () => {})
    await other.connect()
  })
  afterEach(async () => {
    await other.end()
    await engine[Symbol.asyncDispose]()
  })

  /** Whether a lock on a table is requested and not granted. */
  async function hasLockWaiter(): Promise<boolean> {
    const { rows } = await sql`
      select from pg_locks where locktype = 'relation' and not granted
        and database = (select oid from pg_database where datname = current_database())`.execute(
      engine.db,
    )
    return rows.length > 0
  }

  /**
   * Starts a read while a transaction holds a table lock, and commits once the read waits for it.
   */
  async function during<T>(statements: string, read: () => Promise<T>): Promise<T> {
    await other.query(`begin; ${statements}`)
    const reading = read()
    reading.catch(() => {})
    await until(hasLockWaiter)
    await other.query('commit')
    return reading
  }

  for (const [what, statements] of REWRITES) {
    it(`finds the rows after a transaction that ${what}, with and without cache`, async () => {
      const answer = await during(statements, () => one.reader.read(entity, { id: '1' }, 'v'))
      expect(answer.body?.toString()).to.match(/"first *"/)
      const queried = await during(statements, () =>
        one.reader.query(async (trx) => {
          const { rows } = await sql`select from entity where id = '1'`.execute(trx)
          if (rows.length === 0) throw new PublicError('not_found', 'Not found.')
          return rows.length
        }),
      )
      expect(queried).to.equal(1)
    })
  }

  it('locks the table on the last attempt if the table is rewritten during each attempt', async () => {
    let attempts = 0
    const rewrites: Promise<unknown>[] = []
    const found = await one.reader.query(async (trx) => {
      attempts++
      await sql`select from pg_class limit 1`.execute(trx)
      let isThrough = false
      const rewrite = other.query(`alter table entity alter column body type text using body || ''`)
      rewrites.push(rewrite.then(() => (isThrough = true)))
      await until(async () => isThrough || (await hasLockWaiter()))
      return (await sql`select from entity where id = '1'`.execute(trx)).rows.length
    })
    await Promise.all(rewrites)
    expect(found).to.equal(1)
    expect(attempts).to.equal(3)
  })

  it("would find no rows without the check of the table's files", async () => {
    const db = openDatabase({
      url: engine.databaseUrl,
      poolSize: 1,
      applicationName: 'engine-test',
    })
    const { value } = await during(REWRITES[0][1], () =>
      createSnapshotReader(db).read([], false, async (trx) => {
        return (await sql`select from entity`.execute(trx)).rows.length
      }),
    )
    await db.destroy()
    expect(value).to.equal(0)
  })
})
