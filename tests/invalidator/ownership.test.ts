import { expect } from 'chai'
import { openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
import { createOwnership, type Ownership } from '../../invalidator/ownership.ts'
import type { EventLog } from '../event-log/event-log.ts'
import type { ResourceRules } from '../../shared/cache/index.ts'
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

  const takeFree = async (ownership: Ownership) => (await ownership.balance()).taken

  const take = async (session: WorkerSession, target = 'a') => {
    const ownership = createOwnership(session, BIRDS, target)
    const taken = await takeFree(ownership)
    return { ownership, taken: taken.map(({ name }) => name) }
  }

  it('acquires every free resource once', async () => {
    await using session = await open()
    const { ownership, taken } = await take(session)
    expect(taken).to.eql(names)
    expect(ownership.isEmpty).to.be.false
    expect(await takeFree(ownership)).to.eql([])
  })

  it('does not acquire a resource of another session until that session ends', async () => {
    const first = await open()
    await take(first)
    await using second = await open()
    const { ownership, taken } = await take(second)
    expect(taken).to.eql([])
    expect(ownership.isEmpty).to.be.true
    await first[Symbol.asyncDispose]()
    await until(async () => (await takeFree(ownership)).length === BIRDS.length)
  })

  it('is separate for each Redis server', async () => {
    await using first = await open()
    await using second = await open()
    expect((await take(first, 'a')).taken).to.eql(names)
    expect((await take(second, 'b')).taken).to.eql(names)
  })

  it('acquires resources again after a failure before they were reported', async () => {
    await using session = await open()
    let tries = 0
    const failing: WorkerSession = {
      ...session,
      tryLock: (...lock) =>
        ++tries === 2 ? Promise.reject(new Error('out of locks')) : session.tryLock(...lock),
    }
    const ownership = createOwnership(failing, BIRDS, 'a')
    expect(await takeFree(ownership).catch(String)).to.equal('Error: out of locks')
    expect(ownership.isEmpty).to.be.true
    expect((await takeFree(ownership)).map(({ name }) => name)).to.eql(names)
  })

  /** Balances replicas in turns until ownership is stable; returns the resources of each. */
  const settled = async (...replicas: readonly Replica[]): Promise<string[][]> => {
    // In the first round they have not seen each other.
    for (let calmRounds = 0; calmRounds < 2; calmRounds++) {
      for (const { ownership, has } of replicas) {
        const { taken, given } = await ownership.balance()
        for (const { name } of given) has.delete(name)
        for (const { name } of taken) has.add(name)
        if (taken.length + given.length > 0) calmRounds = -1
      }
    }
    return replicas.map(({ has }) => [...has].toSorted())
  }
  interface Replica {
    readonly session: WorkerSession
    readonly ownership: Ownership
    readonly has: Set<string>
  }
  const replica = async (known: readonly ResourceRules[]): Promise<Replica> => {
    const session = await open()
    return { session, ownership: createOwnership(session, known, 'shares'), has: new Set() }
  }
  const many = (...ids: readonly number[]) =>
    ids.map((id): ResourceRules => ({ name: `r${id}`, version: 1, key: `r${id}`, staleWhen: [] }))
  const tens = many(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)

  it('distributes resources evenly among live sessions, and each has one owner', async () => {
    const a = await replica(tens)
    expect((await settled(a))[0]).to.have.lengthOf(10)
    const b = await replica(tens)
    const c = await replica(tens)
    const shares = await settled(a, b, c)
    expect(shares.flat()).to.have.members(tens.map(({ name }) => name))
    expect(shares.map(({ length }) => length)).to.have.members([2, 4, 4])
    await a.session[Symbol.asyncDispose]()
    await until(async () => (await settled(b, c)).flat().length === 10)
    expect((await settled(b, c)).map(({ length }) => length)).to.eql([5, 5])
    for (const { session } of [b, c]) await session[Symbol.asyncDispose]()
  })

  it('gives a resource that only one build knows to that build, in addition to its share', async () => {
    const older = await replica(tens)
    const newer = await replica([...tens, ...many(10, 11, 12, 13, 14, 15)])
    const shares = await settled(older, newer)
    expect(shares.flat()).to.have.lengthOf(16)
    expect(shares.map(({ length }) => length)).to.eql([5, 11])
    for (const { session } of [older, newer]) await session[Symbol.asyncDispose]()
  })

  /** A session whose n-th call fails once, before or after it reaches Postgres. */
  const failAt = (session: WorkerSession, failing: number, when: 'before' | 'after') => {
    let calls = 0
    let hasFailed = false
    const faulty = new Proxy(session, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return async (...args: unknown[]) => {
          const fails = ++calls === failing
          hasFailed ||= fails
          if (fails && when === 'before') throw new Error('injected')
          const result: unknown = await Reflect.apply(member, target, args)
          if (fails) throw new Error('injected')
          return result
        }
      },
    })
    return { session: faulty, hasFailed: () => hasFailed }
  }

  it('holds exactly the reported locks after any call has failed, so that another replica can acquire the rest', async function () {
    this.timeout(60_000)
    const known = many(0, 1, 2, 3)
    await using first = await open()
    await using second = await open()
    const held = async (session: WorkerSession) => {
      const { rows } = await session.client.query<{ mode: string; locks: string }>(
        `select mode, count(*) as locks from pg_locks
         where locktype = 'advisory' and pid = pg_backend_pid() group by mode`,
      )
      return Object.fromEntries(rows.map(({ mode, locks }) => [mode, Number(locks)]))
    }
    for (const when of ['before', 'after'] as const) {
      for (const phase of ['while acquiring', 'while releasing'] as const) {
        let fails = true
        for (let failing = 1; fails; failing++) {
          const name = `${phase}, ${when} call ${failing}`
          const faulty = failAt(first, failing, when)
          const has = new Set<string>()
          const [locks, theirs] = [await held(first), await held(second)]
          const balanceOf = (ownership: Ownership, names: Set<string>) => async () => {
            const { taken, given } = await ownership.balance()
            for (const resource of given) names.delete(resource.name)
            for (const resource of taken) names.add(resource.name)
          }
          // Sessions are identified by their locks only; a new ownership starts without state.
          const session = phase === 'while acquiring' ? faulty.session : first
          let giving = false
          const switching = new Proxy(session, {
            get: (target, key) =>
              Reflect.get(giving && phase === 'while releasing' ? faulty.session : target, key),
          })
          const mine = balanceOf(createOwnership(switching, known, name), has)
          const others = new Set<string>()
          const yours = balanceOf(createOwnership(second, known, name), others)
          await mine().catch(() => mine())
          expect(has.size, name).to.equal(4)
          await yours()
          giving = true
          await mine().catch(() => mine())
          await yours()
          fails = faulty.hasFailed()
          expect([has.size, others.size], name).to.eql([2, 2])
          expect([...has].filter((one) => others.has(one))).to.eql([])
          for (const [one, before] of [
            [first, locks],
            [second, theirs],
          ] as const) {
            const now = await held(one)
            const grown = (mode: string) => (now[mode] ?? 0) - (before[mode] ?? 0)
            expect([grown('ExclusiveLock'), grown('ShareLock')], name).to.eql([2, 4])
          }
        }
      }
    }
  })
})
