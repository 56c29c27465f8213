import { expect } from 'chai'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { createInstruments } from '../../shared/cache/index.ts'

const BUCKETS = [0.001, 0.01, 0.1]

describe('timings', () => {
  it('export what a histogram of the library exports for the same durations', async () => {
    const duration = fc.oneof(
      fc.constantFrom(0, ...BUCKETS),
      fc.double({ min: 0, max: 1, noNaN: true }),
    )
    const observation = fc.tuple(fc.constantFrom('find', 'fill', 'a "b"'), duration)
    await fc.assert(
      fc.asyncProperty(fc.array(observation, { maxLength: 30 }), async (observations) => {
        const [registry, expected] = [new Registry(), new Registry()]
        const timings = createInstruments(registry, 'app').timings('seconds', 'Help', BUCKETS, 'of')
        const histogram = createInstruments(expected, 'app').histogram(
          'seconds',
          'Help',
          BUCKETS,
          'of',
        )
        for (const [value, seconds] of observations) {
          timings.of(value).observe(seconds)
          histogram.labels(value).observe(seconds)
        }
        expect(await registry.metrics()).to.equal(await expected.metrics())
      }),
      { seed: 1, numRuns: 100 },
    )
  })
})
