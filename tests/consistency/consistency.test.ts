import { expect } from 'chai'
import { FAULTS } from './faults/index.ts'
import { Random } from './random.ts'
import { describePhase } from './report.ts'
import { run } from './run.ts'
import { check, DISABLED_SAFEGUARDS } from './safeguards.ts'

// The seed determines which faults are chosen, and in which order.
const SEED = 1
const FAULTS_OF_A_SHORT_RUN = 2
const QUICK_FAULTS = FAULTS.filter(({ isForLongRuns }) => !isForLongRuns)

describe('the consistency checker', function () {
  this.timeout(240_000)

  // `detection.long.ts` disables every other safeguard.
  for (const safeguard of DISABLED_SAFEGUARDS.slice(0, 1)) {
    it(`detects ${safeguard.what}`, async () => {
      const { report, proof } = await check(safeguard)
      expect(report).to.match(proof)
    })
  }
})

describe('the guarantees', function () {
  this.timeout(900_000)

  it('hold under all kinds of writes and under faults', async () => {
    const faults = [null, ...new Random(SEED).some(QUICK_FAULTS, FAULTS_OF_A_SHORT_RUN)]
    // `npm run test:consistency` also measures the triggers, and runs all faults.
    const { phases } = await run({ seed: SEED, faults, calmMs: 1_500 })
    const lines = phases.map(describePhase)
    expect(lines.filter((line) => !line.startsWith('ok'))).to.deep.equal([])
    expect(phases).to.have.lengthOf(faults.length)
  })
})
