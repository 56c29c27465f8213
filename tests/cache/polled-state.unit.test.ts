import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { bareUuid, type Watermark } from '../../shared/cache/index.ts'
import { parsePoll, PolledState } from '../../shared/cache/freshness/polled-state.ts'
import { encodeWatermark, NOTHING_SEEN } from '../../shared/cache/freshness/watermark.ts'

const mark: Watermark = {
  incarnation: randomUUID(),
  origin: '1.2.3',
  snapshot: { xmin: 7n, xmax: 9n, xip: [7n], text: '7:9:7' },
  asOfMs: 999_000,
  part: 0,
  keyVersion: 1,
  fingerprint: 'rules-1',
}

const seen = () =>
  parsePoll([1_000_250, ['entity', encodeWatermark(mark), 'other', 'what another build wrote']])

describe('PolledState', () => {
  it('knows no time and no watermark before the first poll and after a reset', () => {
    const polledState = new PolledState()
    expect(polledState.now()).to.equal(null)
    expect(polledState.watermark('entity')).to.equal(null)

    polledState.set(seen(), performance.now())
    expect(polledState.now()).to.be.within(1_000_250, 1_002_000)
    expect(polledState.watermark('entity')).to.include({ asOfMs: 999_000 })

    polledState.reset()
    expect(polledState.now()).to.equal(null)
    expect(polledState.watermark('entity')).to.equal(null)
  })

  it("is never behind Redis: the reply's time counts from when the poll was sent", () => {
    const polledState = new PolledState()
    polledState.set(seen(), performance.now() - 500)
    expect(polledState.now()).to.be.at.least(1_000_750)
  })

  it('stores incarnations in the format of cached values', () => {
    expect(seen().watermarks.get('entity')?.incarnation).to.equal(bareUuid(mark.incarnation))
  })

  it('ignores a watermark that is unreadable or that has seen nothing', () => {
    expect(seen().watermarks.get('other')).to.equal(undefined)
    const claimsNothing = encodeWatermark({ ...mark, snapshot: NOTHING_SEEN })
    expect(parsePoll([1_000, ['entity', claimsNothing]]).watermarks.size).to.equal(0)
  })
})
