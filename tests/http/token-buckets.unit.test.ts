import { expect } from 'chai'
import { RecentMap } from '../../shared/recent-map.ts'
import { createTokenBuckets } from '../../api/http/token-buckets.ts'

const setup = (perS: number, burst: number) => {
  let nowMs = 0
  const buckets = createTokenBuckets({ perS, burst, nowMs: () => nowMs })
  return { buckets, pass: (ms: number) => (nowMs += ms) }
}

describe('token buckets', () => {
  it('allow a burst, and then one request per refill', () => {
    const { buckets, pass } = setup(2, 3)
    expect([1, 2, 3].map(() => buckets.take('a'))).to.deep.equal([0, 0, 0])
    expect(buckets.take('a')).to.equal(500)
    pass(499)
    expect(buckets.take('a')).to.be.greaterThan(0)
    pass(1)
    expect(buckets.take('a')).to.equal(0)
    expect(buckets.take('a')).to.equal(500)
  })

  it('are independent of each other', () => {
    const { buckets } = setup(1, 1)
    expect(buckets.take('a')).to.equal(0)
    expect(buckets.take('b')).to.equal(0)
    expect(buckets.take('a')).to.be.greaterThan(0)
  })

  it('never hold more than the burst', () => {
    const { buckets, pass } = setup(10, 2)
    pass(60_000)
    buckets.giveBack('a')
    expect([1, 2].map(() => buckets.take('a'))).to.deep.equal([0, 0])
    expect(buckets.take('a')).to.be.greaterThan(0)
  })

  it('accept a token that is given back', () => {
    const { buckets } = setup(1, 1)
    buckets.take('a')
    buckets.giveBack('a')
    expect(buckets.take('a')).to.equal(0)
  })
})

describe('RecentMap', () => {
  it('keeps entries that are read and drops the oldest others', () => {
    const map = new RecentMap<number>(10)
    map.set('kept', 1)
    for (let i = 0; i < 1000; i++) {
      map.set(`other ${i}`, i)
      expect(map.get('kept')).to.equal(1)
    }
    expect(map.get('other 0')).to.be.undefined
    expect(map.get('other 999')).to.equal(999)
  })
})
