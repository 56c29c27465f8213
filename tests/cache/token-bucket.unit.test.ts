import { expect } from 'chai'
import { TokenBucket } from '../../shared/cache/read/token-bucket.ts'

describe('TokenBucket', () => {
  it('allows a burst, then a fixed rate, and saves up at most one burst', () => {
    let nowMs = 0
    const bucket = new TokenBucket(10, 3, () => nowMs)
    const takeAll = () => {
      let taken = 0
      while (bucket.take() === 0) taken++
      return taken
    }
    expect(takeAll()).to.equal(3)
    nowMs += 99
    expect(takeAll()).to.equal(0)
    nowMs += 101
    expect(takeAll()).to.equal(2)
    nowMs += 60_000
    expect(takeAll()).to.equal(3)
  })
})
