import { EventEmitter, once } from 'node:events'
import { expect } from 'chai'
import { sql } from 'kysely'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine, type TestReader } from './engine.ts'
import type { Resource } from '../../shared/resources/cache.ts'

const LIMIT_BYTES = 1_000

describe('reading values above the size limit', function () {
  this.timeout(60_000)

  let engine: Engine
  let one: TestReader
  let two: TestReader
  before(async () => {
    engine = await openEngine()
    one = await engine.openReader({ maxValueBytes: LIMIT_BYTES })
    two = await engine.openReader({ maxValueBytes: LIMIT_BYTES })
  })
  after(() => engine[Symbol.asyncDispose]())
  beforeEach(async () => {
    await change('x'.repeat(2 * LIMIT_BYTES))
    await engine.redis.unlink(engine.keyOf('1'))
  })

  const change = (body: string) => sql`update entity set body = ${body}`.execute(engine.db)
  const read = ({ reader }: TestReader, entity: Resource = defineEntity()) =>
    reader.read(entity, { id: '1' }, 'v')
  const fields = () => engine.redis.hkeys(engine.keyOf('1'))
  const untilMarked = () => until(async () => (await fields()).join() === 'v')

  it('answers the request, stores only a marker, counts the fill as too_large and holds no lease', async () => {
    const answer = await read(one)
    expect(answer.body?.length).to.be.above(2 * LIMIT_BYTES)
    expect(answer).to.include({ outcome: 'miss', detail: 'large', ttlMs: 0 })
    await untilMarked()
    expect(await engine.redis.hstrlen(engine.keyOf('1'), 'v')).to.be.below(100)
    expect(await engine.redis.pttl(engine.keyOf('1'))).to.be.within(1, 60_000)
    await until(async () => (await one.fills('too_large')) === 1)
  })

  it('loads a marked value once per process, without waiting for other processes', async () => {
    await read(one)
    await untilMarked()
    const loads = [await one.loads(), await two.loads()] as const
    const gate = new EventEmitter()
    const opened = once(gate, 'open')
    const slow = defineEntity({ afterSelect: () => opened })
    const reading = [one, two].flatMap((from) => Array.from({ length: 10 }, () => read(from, slow)))
    // A lease would make one process wait for the other.
    await until(async () => (await one.loads()) > loads[0] && (await two.loads()) > loads[1])
    gate.emit('open')
    const answers = await Promise.all(reading)
    for (const { outcome, detail } of answers) {
      expect([outcome, detail]).to.deep.equal(['miss', 'large'])
    }
    expect(answers.filter(({ collapsed }) => collapsed)).to.have.length(18)
    expect(await one.loads()).to.equal(loads[0] + 1)
    expect(await two.loads()).to.equal(loads[1] + 1)
  })

  it('joins no load that started before an invalidation', async () => {
    await read(one)
    await untilMarked()
    const gate = new EventEmitter()
    const opened = once(gate, 'open')
    let isSelected = false
    const slow = defineEntity({ afterSelect: () => ((isSelected = true), opened) })
    const before = read(one, slow)
    await until(() => isSelected)
    await change('y'.repeat(2 * LIMIT_BYTES))
    await engine.redis.unlink(engine.keyOf('1'))
    expect((await read(one)).body?.toString()).to.contain('yyy')
    await untilMarked()
    expect((await read(one)).body?.toString()).to.contain('yyy')
    gate.emit('open')
    expect((await before).body?.toString()).to.contain('xxx')
  })

  it('stores the value once it is below the limit', async () => {
    await read(one)
    await untilMarked()
    await change('small')
    await engine.redis.unlink(engine.keyOf('1'))
    await until(async () => (await read(two)).outcome === 'hit')
  })
})
