import { once } from 'node:events'
import { expect } from 'chai'
import { Client } from 'pg'
import { runCli, startCli } from './support/cli.ts'
import { createTestDatabase } from './support/database.ts'
import { newPrefix, testRedisUrl } from './support/invalidator.ts'
import { until } from './support/until.ts'

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

  it('prints changes of the event log, with their rows, if no invalidator runs', async () => {
    await using database = await createTestDatabase({ seeded: true })
    const client = new Client({ connectionString: database.url })
    await client.connect()
    try {
      await client.query('select invalidation.begin_incarnation()')
      const target = { databaseUrl: database.url, redisUrl: testRedisUrl(), prefix: newPrefix() }
      const child = await startCli(target, 'tail')
      let output = ''
      child.stdout.on('data', (data: Buffer) => (output += data.toString()))
      await until(() => output.includes('waiting for changes'))
      await until(async () => {
        await client.query(
          'update users_publicstaffprofile set expertise = clock_timestamp()::text where id = 1',
        )
        return output.includes('invalidate ')
      })
      expect(output).to.match(
        /^[\d:.]+ {2}update {2}users_publicstaffprofile \(expertise\) {2}.*\[1, /m,
      )
      child.kill('SIGINT')
      expect((await once(child, 'exit'))[0]).to.equal(0)
    } finally {
      await client.end()
    }
  })

  it('prints a flush of everything if there are too many events to read', async () => {
    await using database = await createTestDatabase({ installed: true })
    const client = new Client({ connectionString: database.url })
    await client.connect()
    try {
      await client.query('select invalidation.begin_incarnation()')
      const target = { databaseUrl: database.url, redisUrl: testRedisUrl(), prefix: newPrefix() }
      const child = await startCli(target, 'tail')
      let output = ''
      child.stdout.on('data', (data: Buffer) => (output += data.toString()))
      await until(() => output.includes('waiting for changes'))
      // These patterns exceed the bytes of a window. It prints what is committed after its first poll.
      await until(async () => {
        await client.query(
          `select invalidation.flush(repeat('x', 60000)) from generate_series(1, 300)`,
        )
        return output.includes('\nflush  everything (too many events)\n')
      })
      child.kill('SIGINT')
      expect((await once(child, 'exit'))[0]).to.equal(0)
    } finally {
      await client.end()
    }
  })
})
