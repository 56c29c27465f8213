import { expect } from 'chai'
import { type RawBuilder, sql } from 'kysely'
import { openDatabase } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { createEmptyDatabase, createTestDatabase } from './support/database.ts'

describe('migrate', () => {
  it('creates the tables once, and applies nothing the second time', async () => {
    await using database = await createEmptyDatabase()
    expect(await migrate(database.url)).to.include('0001_accounts')
    expect(await migrate(database.url)).to.be.empty
  })

  it('runs each migration once when several processes start together', async () => {
    await using database = await createEmptyDatabase()
    const runs = await Promise.all(Array.from({ length: 4 }, () => migrate(database.url)))
    const names = runs.flat()
    expect(names).to.have.length.above(0)
    expect(new Set(names).size).to.equal(names.length)
  })

  it('rejects a database with tables that it did not create, and changes nothing in it', async () => {
    await using database = await createTestDatabase({ madeByDjango: true })
    const before = await tablesOf(database.url)
    const error = await migrate(database.url).catch((reason: unknown) => reason)
    expect(error).to.have.property('name', 'ConfigurationError')
    expect(error).to.have.property('message').that.includes('`install`')
    expect(await tablesOf(database.url)).to.deep.equal(before)
  })

  it('records migrations in two tables of the public schema', async () => {
    await using database = await createEmptyDatabase()
    await migrate(database.url)
    const tables = await tablesOf(database.url)
    expect(tables.filter((name) => name.includes('migration'))).to.deep.equal([
      'public.spms_migration',
      'public.spms_migration_lock',
    ])
  })

  it('defers every foreign key to the commit, and indexes every referencing column', async () => {
    await using database = await createTestDatabase()
    const eager = await query(
      database.url,
      sql`select conname from pg_constraint where contype = 'f' and not condeferred`,
    )
    expect(eager).to.be.empty
    const unindexed = await query(
      database.url,
      sql`
        select conrelid::regclass::text, conkey[1] from pg_constraint k
        where contype = 'f' and not exists (
          select from pg_index i where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1]
        )
      `,
    )
    expect(unindexed).to.be.empty
  })
})

const tablesOf = async (url: string): Promise<string[]> => {
  const rows = await query(
    url,
    sql<{ name: string }>`
      select schemaname || '.' || tablename as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema') order by 1
    `,
  )
  return rows.map(({ name }) => name)
}

async function query<Row>(url: string, statement: RawBuilder<Row>): Promise<Row[]> {
  const db = openDatabase({ url, poolSize: 1, applicationName: 'migrate-test' })
  try {
    return (await statement.execute(db)).rows
  } finally {
    await db.destroy()
  }
}
