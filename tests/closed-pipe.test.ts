import { expect } from 'chai'
import { Client } from 'pg'
import { runCliInto } from './support/cli.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { newPrefix, testRedisUrl } from './support/invalidator.ts'

describe('a command whose output pipe is closed early', function () {
  this.timeout(120_000)
  let database: TestDatabase
  let sql: Client

  before(async () => {
    database = await createTestDatabase({ installed: true })
    sql = new Client({ connectionString: database.url })
    await sql.connect()
    // `tail` needs an incarnation. The one that the template began does not belong to this copy.
    await sql.query('select invalidation.begin_incarnation()')
  })
  after(async () => {
    await sql.end()
    await database[Symbol.asyncDispose]()
  })

  for (const words of [['sql', 'select generate_series(1, 200000)'], ['tail']]) {
    it(`exits without a stack trace: ${words[0]}`, async () => {
      const target = { databaseUrl: database.url, redisUrl: testRedisUrl(), prefix: newPrefix() }
      // `tail` prints a line at its start, and then one for each commit.
      const writes = setInterval(() => void sql.query(`select invalidation.flush('x')`), 500)
      const { code, complaint } = await runCliInto('head -n 1', target, ...words).finally(() =>
        clearInterval(writes),
      )
      expect(complaint).to.equal('')
      expect(code).to.equal(0)
    })
  }
})
