import { expect } from 'chai'
import { beginLookups, openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
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

  const planMode = async () => {
    const { rows } = await session.client.query<{ plan_cache_mode: string }>('show plan_cache_mode')
    return rows[0]?.plan_cache_mode
  }

  it('answers whether commits that notify wait for each other', async () => {
    expect(await session.isNotifyQueued()).to.equal(false)
  })

  it('plans lookups for the number of their values, and windows with a generic plan', async () => {
    expect(await planMode()).to.equal('force_generic_plan')
    await session.client.query('begin')
    await beginLookups(session.client)
    expect(await planMode()).to.equal('auto')
    await session.client.query('commit')
    expect(await planMode()).to.equal('force_generic_plan')
  })
})
