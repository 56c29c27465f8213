import { expect } from 'chai'
import type { Fault } from './faults/fault.ts'
import { FAULTS } from './faults/index.ts'
import type { Guarantee } from './oracle/judge.ts'
import { Random } from './random.ts'
import { describeMeasure, describePhase } from './report.ts'
import { run, type RunOptions } from './run.ts'

// Another choice, in another order, is another seed.
const SEED = 1
const FAULTS_OF_A_SHORT_RUN = 7

const faultNamed = (name: string): Fault => {
  const found = FAULTS.find((fault) => fault.name === name)
  if (!found) throw new Error(`no fault is called ${name}`)
  return found
}

describe('the checker of consistency finds what is broken:', function () {
  this.timeout(120_000)

  const broken: readonly {
    readonly what: string
    readonly replaced: Pick<RunOptions, 'replaceInApis' | 'replaceInInvalidators'>
    readonly fault: Fault | null
    readonly guarantee: Guarantee
  }[] = [
    {
      what: 'an invalidator that forgets nothing, and says it did',
      replaced: { replaceInInvalidators: './tests/consistency/broken/forget-nothing.ts' },
      fault: null,
      guarantee: 'G1',
    },
    {
      what: 'fills that heed no lease',
      replaced: { replaceInApis: './tests/consistency/broken/fill-without-lease.ts' },
      fault: faultNamed('postgres-far-from-apis'),
      guarantee: 'G1',
    },
    {
      what: 'a guard that always trusts, while the invalidator is dead',
      replaced: { replaceInApis: './tests/consistency/broken/trust-always.ts' },
      fault: faultNamed('invalidator-killed'),
      guarantee: 'G2',
    },
    {
      what: 'tokens that are always covered, while the invalidator is dead',
      replaced: { replaceInApis: './tests/consistency/broken/cover-always.ts' },
      fault: faultNamed('invalidator-killed'),
      guarantee: 'G3',
    },
  ]
  for (const { what, replaced, fault, guarantee } of broken) {
    it(what, async () => {
      const { phases } = await run({ seed: 1, faults: [fault], calmMs: 4_000, ...replaced })
      const found = phases.flatMap(({ violations }) => violations)
      expect(found.map((violation) => violation.guarantee)).to.include(guarantee)
      const proof = found.find((violation) => violation.guarantee === guarantee)
      expect(proof?.timeline.join('\n')).to.match(/by write \d+ .*transaction \d+/)
    })
  }
})

describe('everything that is guaranteed', function () {
  this.timeout(600_000)

  it('holds while all kinds of writers write, and through faults', async () => {
    const faults = [null, ...new Random(SEED).some(FAULTS, FAULTS_OF_A_SHORT_RUN)]
    const { measures, phases } = await run({ seed: SEED, faults, calmMs: 2_000, isMeasured: true })
    const told = [...measures.map(describeMeasure), ...phases.map(describePhase)]
    expect(told.filter((line) => !line.startsWith('ok'))).to.deep.equal([])
    expect(phases).to.have.lengthOf(faults.length)
  })
})
