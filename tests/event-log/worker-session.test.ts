import { expect } from 'chai'
import { openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

describe('a worker session', () => {
  let database: TestDatabase
  let session: WorkerSession

  before(async () => {
    database = await createTestDatabase({ installed: true })
    session = await openWorkerSession({
      url: database.url,
      applicationName: 'lookup-test',
      statementTimeoutMs: 10_000,
    })
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  it('answers whether commits that notify wait for each other', async () => {
    expect(await session.isNotifyQueued()).to.equal(false)
  })
})
