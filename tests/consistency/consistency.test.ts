import { expect } from 'chai'
import { FAULTS } from './faults/index.ts'
import { Random } from './random.ts'
import { describePhase } from './report.ts'
import { run } from './run.ts'

// The seed determines which faults are chosen, and in which order.
const SEED = 1
const FAULTS_OF_A_SHORT_RUN = 1
const QUICK_FAULTS = FAULTS.filter(({ isForLongRuns }) => !isForLongRuns)

describe('the guarantees', function () {
  this.timeout(900_000)

  it('hold under all kinds of writes and under faults', async () => {
    const faults = [null, ...new Random(SEED).some(QUICK_FAULTS, FAULTS_OF_A_SHORT_RUN)]
    // `npm run test:consistency` also measures the triggers, and runs all faults. `detection.long.ts`
    // shows that the checker detects each disabled safeguard.
    const { phases } = await run({ seed: SEED, faults, calmMs: 1_500 })
    const lines = phases.map(describePhase)
    expect(lines.filter((line) => !line.startsWith('ok'))).to.deep.equal([])
    expect(phases).to.have.lengthOf(faults.length)
  })
})
