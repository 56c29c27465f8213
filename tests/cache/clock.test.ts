import { expect } from 'chai'
import { RedisClock } from '../../shared/cache/clock.ts'

describe('the clock of Redis', () => {
  it('does not know the time before it was told, nor after its connection is gone', () => {
    const clock = new RedisClock()
    expect(clock.now()).to.equal(null)
    clock.set(1_000_000, performance.now())
    expect(clock.now()).to.be.within(1_000_000, 1_001_000)
    clock.forget()
    expect(clock.now()).to.equal(null)
  })

  it('is never behind: what Redis said counts from when it was asked', () => {
    const clock = new RedisClock()
    clock.set(1_000_000, performance.now() - 500)
    expect(clock.now()).to.be.at.least(1_000_500)
  })
})
