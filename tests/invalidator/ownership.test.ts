import { expect } from 'chai'
import { openWorkerSession, type WorkerSession } from '../../db/event-log/session.ts'
import { createOwnership, redisTarget } from '../../invalidator/ownership.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { until } from '../support/until.ts'
import { BIRDS, openBirds } from './birds.ts'

describe('ownership', () => {
  let log: EventLog
  const names = BIRDS.map(({ name }) => name)

  before(async () => {
    log = await openBirds()
  })
  after(() => log[Symbol.asyncDispose]())

  const open = () =>
    openWorkerSession({
      url: log.url,
      applicationName: 'spms-test-owner',
      statementTimeoutMs: 10_000,
    })

  const take = async (session: WorkerSession, target = 'a') => {
    const ownership = createOwnership(session, BIRDS, target)
    const taken = await ownership.takeFree()
    return { ownership, taken: taken.map(({ name }) => name) }
  }

  it('takes everything that nobody has, once', async () => {
    await using session = await open()
    const { ownership, taken } = await take(session)
    expect(taken).to.eql(names)
    expect(ownership.isEmpty).to.be.false
    expect(await ownership.takeFree()).to.eql([])
  })

  it('leaves a resource to whoever has it, until that one is gone', async () => {
    const first = await open()
    await take(first)
    await using second = await open()
    const { ownership, taken } = await take(second)
    expect(taken).to.eql([])
    expect(ownership.isEmpty).to.be.true
    await first[Symbol.asyncDispose]()
    await until(async () => (await ownership.takeFree()).length === BIRDS.length)
  })

  it('is apart for each Redis', async () => {
    await using first = await open()
    await using second = await open()
    expect((await take(first, 'a')).taken).to.eql(names)
    expect((await take(second, 'b')).taken).to.eql(names)
  })

  it('takes again what it had taken before a failure, since nobody was told', async () => {
    await using session = await open()
    let tries = 0
    const failing: WorkerSession = {
      ...session,
      tryLock: (...lock) =>
        ++tries === 2 ? Promise.reject(new Error('out of locks')) : session.tryLock(...lock),
    }
    const ownership = createOwnership(failing, BIRDS, 'a')
    expect(await ownership.takeFree().catch(String)).to.equal('Error: out of locks')
    expect(ownership.isEmpty).to.be.true
    expect((await ownership.takeFree()).map(({ name }) => name)).to.eql(names)
  })

  for (const [url, target] of [
    ['redis://h:7000/3', 'h:7000/3#p'],
    ['redis://h', 'h:6379/0#p'],
    ['redis://h/', 'h:6379/0#p'],
    ['redis://h:6379/0', 'h:6379/0#p'],
    ['redis://user:secret@h:6379/0', 'h:6379/0#p'],
  ] as const) {
    it(`knows the Redis at ${url.replace('secret', '***')}`, () => {
      expect(redisTarget(url, 'p')).to.equal(target)
    })
  }
})
