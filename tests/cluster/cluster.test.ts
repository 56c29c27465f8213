import { expect } from 'chai'
import { openBuckets } from '../../shared/cache/index.ts'
import { until } from '../support/until.ts'
import { type ClusterLibrary, openClusterLibrary } from './library.ts'

describe('a Redis Cluster', function () {
  this.timeout(120_000)
  let library: ClusterLibrary

  beforeEach(async () => {
    library = await openClusterLibrary()
    await until(() => library.reads.buckets.available === library.reads.buckets.count)
  })
  afterEach(() => library[Symbol.asyncDispose]())

  const titles = async (codes: readonly string[]) =>
    new Set(await Promise.all(codes.map(async (code) => library.titleOf(await library.read(code)))))

  it('answers from every bucket, and each entry is fresh after a change by SQL', async () => {
    const { codes, readCached, read, rename, reads } = library
    await Promise.all(codes.map(readCached))
    expect(new Set(codes.map(library.bucketOf)).size).to.be.greaterThan(60)
    await rename(codes.slice(0, 150), 'second')
    await reads.untilApplied()
    for (const code of codes) {
      const answer = await read(code)
      const isRenamed = Number(code) <= 150
      expect(library.titleOf(answer), code).to.equal(isRenamed ? 'second' : 'first')
      expect(answer.outcome, code).to.equal(isRenamed ? 'miss' : 'hit')
    }
  })

  it('flushes every bucket on request', async () => {
    const { codes, readCached, client, reads, read } = library
    await Promise.all(codes.map(readCached))
    await client.query(`select invalidation.flush('book:*')`)
    await reads.untilApplied()
    for (const code of codes) expect((await read(code)).outcome, code).to.equal('miss')
  })

  it('keeps the entries of a slot that moves, and invalidates them at their new place', async () => {
    const { cluster, readCached, rename, reads, read } = library
    const [code = ''] = library.codes
    const slot = await library.slotOf(code)
    await readCached(code)
    const from = await cluster.masterOf(slot)
    const to = cluster.nodes.find((node) => node !== from && node.port !== from.port) as typeof from
    await cluster.move(slot, to)
    await until(() => reads.buckets.connectionOf(library.bucketOf(code))?.options.port === to.port)
    await until(async () => (await read(code)).outcome === 'hit')
    await rename([code], 'moved')
    await reads.untilApplied()
    expect(library.titleOf(await read(code))).to.equal('moved')
  })

  it('invalidates other buckets while a slot migrates, and the bucket of that slot afterwards', async () => {
    const { cluster, codes, readCached, rename, reads } = library
    await Promise.all(codes.map(readCached))
    const [code = ''] = codes
    const slot = await library.slotOf(code)
    const inBucket = codes.filter((one) => library.bucketOf(one) === library.bucketOf(code))
    const from = await cluster.masterOf(slot)
    const to = cluster.nodes.find((node) => node.port !== from.port) as typeof from
    const move = await cluster.beginMove(slot, to)
    // Some keys of the bucket stay. It must not claim the change before all of them are at one place.
    await move.moveKeys(2)
    await rename(codes, 'during')
    const others = codes.filter((one) => !inBucket.includes(one))
    await until(async () => !(await titles(others)).has('first'))
    await move.finish()
    await reads.untilApplied()
    expect([...(await titles(codes))]).to.eql(['during'])
  })

  it('repeats invalidations that a promoted replica has missed', async () => {
    const { cluster, codes, readCached, rename, reads } = library
    await Promise.all(codes.map(readCached))
    const [code = ''] = codes
    const slot = await library.slotOf(code)
    const master = await cluster.masterOf(slot)
    const [replica] = await cluster.replicasOf(master)
    replica?.freeze()
    // Bytes that were sent to the suspended replica would still reach it.
    await master.client.client('KILL', 'TYPE', 'REPLICA')
    await rename(codes, 'missed')
    await reads.untilApplied()
    await master.kill()
    replica?.thaw()
    await until(async () => (await cluster.masterOf(slot).catch(() => master)) !== master)
    await reads.untilApplied()
    expect([...(await titles(codes))]).to.eql(['missed'])
  })

  it('loses only the buckets of a master that is gone, and invalidates the others', async () => {
    const { cluster, codes, readCached, rename, reads, read } = library
    await Promise.all(codes.map(readCached))
    const master = await cluster.masterOf(await library.slotOf(codes[0] ?? ''))
    for (const replica of await cluster.replicasOf(master)) await replica.kill()
    const lost = library.codesOn(master.port)
    const kept = library.codesOutside(master.port)
    await master.kill()
    await until(() => reads.buckets.available < reads.buckets.count)
    await rename(codes, 'without')
    await until(async () => !(await titles(kept)).has('first'))
    for (const code of kept) await readCached(code)
    for (const code of lost) {
      const answer = await read(code)
      expect(`${answer.outcome} ${library.titleOf(answer)}`, code).to.equal('bypass without')
    }
    await master.start()
    await until(() => reads.buckets.available === reads.buckets.count)
    await reads.untilApplied()
    for (const code of lost) await readCached(code)
  })

  it('does not wait for a frozen master before it invalidates the other buckets', async () => {
    const { cluster, codes, readCached, rename } = library
    await Promise.all(codes.map(readCached))
    const master = await cluster.masterOf(await library.slotOf(codes[0] ?? ''))
    const kept = library.codesOutside(master.port)
    const lost = library.codesOn(master.port)
    master.freeze()
    const startedAtMs = performance.now()
    for (const title of ['one', 'two', 'three']) {
      await rename([...kept, ...lost], title)
      await until(async () => [...(await titles(kept))].join() === title)
    }
    // A command to the frozen master times out after 2 s, and its replica is promoted after 3 s.
    expect(performance.now() - startedAtMs).to.be.lessThan(1_900)
    master.thaw()
    await library.reads.untilApplied()
    expect([...(await titles([...kept, ...lost]))]).to.eql(['three'])
  })

  it('flushes the buckets of a master that was emptied, and no others', async () => {
    const { cluster, codes, readCached, rename, reads, read } = library
    await Promise.all(codes.map(readCached))
    const master = await cluster.masterOf(await library.slotOf(codes[0] ?? ''))
    const [lost, kept] = [library.codesOn(master.port), library.codesOutside(master.port)]
    await master.client.flushall()
    await reads.untilApplied()
    for (const code of kept) expect((await read(code)).outcome, code).to.equal('hit')
    for (const code of lost) await readCached(code)
    await rename(codes, 'emptied')
    await reads.untilApplied()
    expect([...(await titles(codes))]).to.eql(['emptied'])
  })

  it('is refused with another number of buckets than the stored one', async () => {
    const states: string[] = []
    const other = openBuckets(`${library.cluster.url}?buckets=32`, library.reads.prefix, {
      name: 'other',
      onState: (state, error) => states.push(`${state} ${error?.message ?? ''}`),
    })
    await until(() => states.some((state) => state.startsWith('unsupported')))
    expect(states.at(-1)).to.contain('has 64 buckets: write buckets=64 in REDIS_URL')
    expect(other.connectionOf(0)).to.equal(null)
    other[Symbol.dispose]()
  })
})
