import { expect } from 'chai'
import { Client } from 'pg'
import { install, readStatus, type RulesDefinition, uninstall } from '../../db/event-log/index.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'

const TABLE = 'invalidation.nest'
const RULES: RulesDefinition = {
  tables: [
    {
      name: TABLE,
      watch: ['bird'],
      keys: ['bird'],
      create: {
        sql: `create table ${TABLE} (id int primary key, bird text);`,
        primaryKey: ['id'],
      },
    },
  ],
}

describe('a watched table that the installation creates', () => {
  let database: TestDatabase
  let client: Client
  beforeEach(async () => {
    database = await createEmptyDatabase()
    client = new Client({ connectionString: database.url })
    await client.connect()
  })
  afterEach(async () => {
    await client.end()
    await database[Symbol.asyncDispose]()
  })

  const events = async () =>
    (await client.query<{ op: string; keys: unknown }>('select op, keys from invalidation.event'))
      .rows

  it('is created by the first installation and kept with its rows by the next', async () => {
    expect((await install(database.url, RULES)).changed).to.deep.equal([TABLE])
    await client.query(`insert into ${TABLE} values (1, 'wren')`)
    expect((await install(database.url, RULES)).changed).to.deep.equal([])
    expect((await client.query(`select * from ${TABLE}`)).rows).to.deep.equal([
      { id: 1, bird: 'wren' },
    ])
  })

  it('logs its changes like any other table, without a problem in the status', async () => {
    const { warnings } = await install(database.url, RULES)
    expect(warnings).to.deep.equal([])
    await client.query(`insert into ${TABLE} values (1, 'wren')`)
    await client.query(`delete from ${TABLE}`)
    expect(await events()).to.deep.equal([
      { op: 'I', keys: [['wren']] },
      { op: 'D', keys: [['wren']] },
    ])
    const { damaged, tables } = await readStatus(database.url)
    expect({ damaged, tables }).to.deep.equal({ damaged: [], tables: 1 })
  })

  it('is created by the SQL that an installation prints', async () => {
    const printed: string[] = []
    await install(database.url, RULES, { print: (sql) => printed.push(sql) })
    expect((await client.query(`select to_regclass('${TABLE}') as it`)).rows[0]?.it).to.equal(null)
    for (const sql of printed) await client.query(sql)
    expect((await install(database.url, RULES)).changed).to.deep.equal([])
    await client.query(`insert into ${TABLE} values (1, 'wren')`)
    expect(await events()).to.have.length(1)
  })

  it('is dropped by uninstall', async () => {
    await install(database.url, RULES)
    await uninstall(database.url, 0)
    const { rows } = await client.query(
      `select 1 from pg_namespace where nspname = 'invalidation'
       union all select 1 from pg_class where relname = 'nest'`,
    )
    expect(rows).to.deep.equal([])
  })
})
