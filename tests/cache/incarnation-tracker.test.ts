import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findIncarnation } from '../../db/event-log/index.ts'
import { bareUuid, IncarnationTracker, trackIncarnation } from '../../shared/cache/index.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine } from './engine.ts'

describe('IncarnationTracker', function () {
  this.timeout(60_000)

  let engine: Engine
  before(async () => {
    engine = await openEngine()
  })
  after(() => engine[Symbol.asyncDispose]())

  const changeIncarnation = () =>
    sql`update invalidation.incarnation set id = ${randomUUID()}`.execute(engine.db)
  const current = async () => bareUuid((await findIncarnation(engine.db)) ?? '')

  it('is undefined at first and then keeps the observation of the latest query, in any order of replies', () => {
    const incarnationTracker = new IncarnationTracker()
    expect(incarnationTracker.incarnation).to.equal(undefined)
    const [older, newer] = [randomUUID(), randomUUID()]
    incarnationTracker.observe(newer, 2)
    incarnationTracker.observe(older, 1)
    expect(incarnationTracker.incarnation).to.equal(bareUuid(newer))
    incarnationTracker.observe(null, 3)
    expect(incarnationTracker.incarnation).to.equal(null)
  })

  it('is updated by every load that is to be stored', async () => {
    const { reader, incarnationTracker } = await engine.openReader()
    await changeIncarnation()
    await reader.read(defineEntity(), { id: '1' }, 'v')
    expect(incarnationTracker.incarnation).to.equal(await current())
  })

  it('is updated by polling when nothing is loaded, until the signal aborts', async () => {
    const incarnationTracker = new IncarnationTracker()
    const stop = new AbortController()
    const watching = trackIncarnation(engine.db, incarnationTracker, stop.signal)
    await until(() => incarnationTracker.incarnation !== undefined)
    await changeIncarnation()
    const begun = await current()
    await until(() => incarnationTracker.incarnation === begun)

    stop.abort()
    await watching
  })

  it('agrees between processes that begin a missing incarnation concurrently', async () => {
    const incarnations = [new IncarnationTracker(), new IncarnationTracker()]
    const stop = new AbortController()
    await sql`delete from invalidation.incarnation`.execute(engine.db)
    const watching = incarnations.map((incarnationTracker) =>
      trackIncarnation(engine.db, incarnationTracker, stop.signal),
    )
    await until(() => incarnations.every(({ incarnation }) => typeof incarnation === 'string'))
    const begun = await current()
    for (const incarnationTracker of incarnations)
      expect(incarnationTracker.incarnation).to.equal(begun)
    stop.abort()
    await Promise.all(watching)
  })

  it('reports once that a role without the right cannot begin an incarnation', async () => {
    const role = `spms_incarnation_${engine.prefix.replaceAll('-', '_')}`
    await sql
      .raw(
        `create role ${role} login password 'x'; grant usage on schema invalidation to ${role};
         grant select on invalidation.current_incarnation to ${role}; delete from invalidation.incarnation`,
      )
      .execute(engine.db)
    const url = new URL(engine.databaseUrl)
    url.username = role
    url.password = 'x'
    const db = openDatabase({ url: url.href, poolSize: 1, applicationName: 'engine-test' })
    const incarnationTracker = new IncarnationTracker()
    const stop = new AbortController()
    const troubles: unknown[] = []
    const watching = trackIncarnation(db, incarnationTracker, stop.signal, (error) =>
      troubles.push(error),
    )
    try {
      await until(() => troubles.length > 0)
      expect(troubles[0]).to.have.property('code', '42501')
      expect(incarnationTracker.incarnation).to.equal(null)
      await sql
        .raw(`grant execute on function invalidation.begin_incarnation() to ${role}`)
        .execute(engine.db)
      await until(() => typeof incarnationTracker.incarnation === 'string')
      expect(troubles).to.have.length(1)
    } finally {
      stop.abort()
      await watching
      await db.destroy()
      await sql.raw(`drop owned by ${role}; drop role ${role}`).execute(engine.db)
    }
  })
})
