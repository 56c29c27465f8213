import { expect } from 'chai'
import { addLag, quantileMs } from '../../invalidator/console/lag.ts'

describe('a quantile of delays', () => {
  const bounds = [0.001, 0.002, 0.01]

  it('is interpolated within its bucket', () => {
    expect(quantileMs(bounds, [10, 10, 0, 0], 0.5)).to.equal(1)
    expect(quantileMs(bounds, [10, 10, 0, 0], 0.75)).to.equal(1.5)
    expect(quantileMs(bounds, [0, 0, 4, 0], 0.5)).to.equal(6)
  })

  it('is the highest bound above all bounds, and null without delays', () => {
    expect(quantileMs(bounds, [0, 0, 0, 5], 0.99)).to.equal(10)
    expect(quantileMs(bounds, [0, 0, 0, 0], 0.5)).to.equal(null)
  })

  it('counts only what was added since the last report', () => {
    expect(addLag([1, 0], [5, 2], [3, 2])).to.deep.equal([3, 0])
    expect(addLag([], [5, 2])).to.deep.equal([5, 2])
  })
})
