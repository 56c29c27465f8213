import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { findIncarnation } from '../../db/queries/incarnation.ts'
import { bareUuid } from '../../shared/cache/frame.ts'
import { OwnLife, watchOwnLife } from '../../shared/cache/own-life.ts'
import { until } from '../support/until.ts'
import { defineThing, type Engine, openEngine } from './engine.ts'

describe('the life of the database that our own connections see', function () {
  this.timeout(60_000)

  let engine: Engine
  before(async () => {
    engine = await openEngine()
  })
  after(() => engine[Symbol.asyncDispose]())

  const beginAnother = () =>
    sql`update invalidation.incarnation set id = ${randomUUID()}`.execute(engine.db)
  const current = async () => bareUuid((await findIncarnation(engine.db)) ?? '')

  it('is not known at first, and then what was asked for last, whichever answer came last', () => {
    const life = new OwnLife()
    expect(life.incarnation).to.equal(undefined)
    const [older, newer] = [randomUUID(), randomUUID()]
    life.saw(newer, 2)
    life.saw(older, 1)
    expect(life.incarnation).to.equal(bareUuid(newer))
    life.saw(null, 3)
    expect(life.incarnation).to.equal(null)
  })

  it('is learned from every load that is to be stored', async () => {
    const { reader, life } = await engine.openReader()
    await beginAnother()
    await reader.read(defineThing(), { id: '1' }, 'v')
    expect(life.incarnation).to.equal(await current())
  })

  it('is looked for where nothing is loaded, until asked to stop', async () => {
    const life = new OwnLife()
    const stop = new AbortController()
    const watching = watchOwnLife(engine.db, life, stop.signal)
    await until(() => life.incarnation !== undefined)
    await beginAnother()
    const begun = await current()
    await until(() => life.incarnation === begun)

    await sql`delete from invalidation.incarnation`.execute(engine.db)
    await until(() => life.incarnation === null)
    stop.abort()
    await watching
  })
})
