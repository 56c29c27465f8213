import { expect } from 'chai'
import { runCli } from './support/cli.ts'
import { createTestDatabase } from './support/database.ts'
import { newPrefix, testRedisUrl } from './support/invalidator.ts'

describe('tail', function () {
  this.timeout(60_000)

  it('prints the remedy without a stack trace if no incarnation has begun', async () => {
    // The incarnation in a copied database belongs to the original.
    await using database = await createTestDatabase({ installed: true })
    const target = { databaseUrl: database.url, redisUrl: testRedisUrl(), prefix: newPrefix() }
    const { code, complaint } = await runCli(target, 'tail')
    expect(complaint).to.equal(
      'no incarnation has begun since Postgres was started, or this database is a copy: start an invalidator\n',
    )
    expect(code).to.equal(1)
  })
})
