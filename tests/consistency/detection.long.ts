import { expect } from 'chai'
import { run } from './run.ts'
import { check, DISABLED_SAFEGUARDS } from './safeguards.ts'

describe('the consistency checker', function () {
  this.timeout(240_000)

  for (const safeguard of DISABLED_SAFEGUARDS) {
    it(`detects ${safeguard.what}`, async () => {
      const { report, proof } = await check(safeguard)
      expect(report).to.match(proof)
    })
  }

  it('detects that every reader gets a lease', async () => {
    const replaceInApis = './tests/consistency/broken/lease-for-every-reader.ts'
    const { measures } = await run({
      seed: 1,
      faults: [],
      calmMs: 0,
      replaceInApis,
      isMeasured: true,
    })
    const found = measures.flatMap(({ violations }) => violations)
    expect(found.map(({ guarantee }) => guarantee)).to.include('G7')
  })
})
