import { expect } from 'chai'
import { Client } from 'pg'
import type { Fault } from './faults/fault.ts'
import { FAULTS } from './faults/index.ts'
import type { Guarantee } from './oracle/verdict.ts'
import { Random } from './random.ts'
import { describeMeasure, describePhase, describeViolation } from './report.ts'
import { run } from './run.ts'
import type { StageOptions } from './stage/stage.ts'

// Another choice, in another order, is another seed.
const SEED = 1
const FAULTS_OF_A_SHORT_RUN = 5
const QUICK_FAULTS = FAULTS.filter(({ isForLongRuns }) => !isForLongRuns)

const faultNamed = (name: string): Fault => {
  const found = FAULTS.find((fault) => fault.name === name)
  if (!found) throw new Error(`no fault is called ${name}`)
  return found
}

const SUPERSEDED = /by write \d+ .*transaction \d+/

/** Something that is done to the database and then left as it is. */
const inDatabase = (statements: string): Fault => ({
  name: 'by SQL',
  takes: 'nothing',
  holdMs: 0,
  async inject({ stage }) {
    const client = new Client({ connectionString: stage.postgres.url })
    await client.connect()
    try {
      await client.query(statements)
    } finally {
      await client.end()
    }
    return async () => {}
  },
})

describe('the checker of consistency finds what is broken:', function () {
  this.timeout(240_000)

  const broken: readonly {
    readonly what: string
    readonly replaced?: StageOptions
    readonly fault: Fault | null
    readonly guarantee: Guarantee
    /** By default what was shown, and who had written otherwise. */
    readonly proof?: RegExp
  }[] = [
    {
      what: 'an invalidator that forgets nothing, and says it did',
      replaced: { replaceInInvalidators: './tests/consistency/broken/invalidate-nothing.ts' },
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
      replaced: { replaceInApis: './tests/consistency/broken/satisfy-always.ts' },
      fault: faultNamed('invalidator-killed'),
      guarantee: 'G3',
    },
    {
      what: 'writers that fail in a trigger',
      fault: inDatabase(`
        create or replace function invalidation.notify() returns void language plpgsql as
          $$ begin raise 'no notification'; end $$`),
      guarantee: 'G5',
      proof: /no notification/,
    },
    {
      what: 'writers that wait for a lock of the event log',
      // Its segments by name: who locks a partitioned table locks that first and they last, and
      // writers, who may come to it by a segment, would be in each other's way.
      fault: inDatabase(`
        begin;
        lock table invalidation.event_0, invalidation.event_1, invalidation.event_2, invalidation.event_3
          in share mode;
        select pg_sleep(1);
        commit`),
      guarantee: 'G5',
      proof: /waits for RowExclusiveLock on event/,
    },
    {
      what: 'reads that wait for a Redis that does not answer',
      replaced: { apiEnv: { REDIS_TIMEOUT_MS: '20000', REDIS_BUDGET_MS: '20000' } },
      fault: { ...faultNamed('redis-stopped'), holdMs: 10_000 },
      guarantee: 'G6',
      proof: /a read without Redis took/,
    },
  ]
  for (const { what, replaced, fault, guarantee, proof = SUPERSEDED } of broken) {
    it(what, async () => {
      const { phases } = await run({ seed: 1, faults: [fault], calmMs: 3_000, ...replaced })
      const found = phases.flatMap(({ violations }) => violations)
      const told = found
        .filter((violation) => violation.guarantee === guarantee)
        .map(describeViolation)
      expect(told.join('\n')).to.match(proof)
    })
  }

  it('a lease for everyone who asks', async () => {
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

describe('everything that is guaranteed', function () {
  this.timeout(900_000)

  it('holds while all kinds of writers write, and through faults', async () => {
    const faults = [null, ...new Random(SEED).some(QUICK_FAULTS, FAULTS_OF_A_SHORT_RUN)]
    const { measures, phases } = await run({ seed: SEED, faults, calmMs: 2_000, isMeasured: true })
    const told = [...measures.map(describeMeasure), ...phases.map(describePhase)]
    expect(told.filter((line) => !line.startsWith('ok'))).to.deep.equal([])
    expect(phases).to.have.lengthOf(faults.length)
  })
})
