import { expect } from 'chai'
import { Client } from 'pg'
import type { Fault } from './faults/fault.ts'
import { FAULTS } from './faults/index.ts'
import type { Guarantee } from './oracle/verdict.ts'
import { Random } from './random.ts'
import { describeMeasure, describePhase, describeViolation } from './report.ts'
import { run } from './run.ts'
import type { StageOptions } from './stage/stage.ts'

// The seed determines which faults are chosen, and in which order.
const SEED = 1
const FAULTS_OF_A_SHORT_RUN = 5
const QUICK_FAULTS = FAULTS.filter(({ isForLongRuns }) => !isForLongRuns)

const faultNamed = (name: string): Fault => {
  const found = FAULTS.find((fault) => fault.name === name)
  if (!found) throw new Error(`unknown fault ${name}`)
  return found
}

const SUPERSEDED = /by write \d+ .*transaction \d+/

/** A fault that runs statements in the database and does not undo them. */
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

describe('the consistency checker', function () {
  this.timeout(240_000)

  const broken: readonly {
    readonly what: string
    readonly replaced?: StageOptions
    readonly fault: Fault | null
    readonly guarantee: Guarantee
    /** Must match the report. By default the write and transaction that superseded the shown value. */
    readonly proof?: RegExp
  }[] = [
    {
      what: 'an invalidator that advances watermarks without deleting keys',
      replaced: { replaceInInvalidators: './tests/consistency/broken/invalidate-nothing.ts' },
      fault: null,
      guarantee: 'G1',
    },
    {
      what: 'a value stored without a lease',
      replaced: { replaceInApis: './tests/consistency/broken/fill-without-lease.ts' },
      fault: faultNamed('postgres-far-from-apis'),
      guarantee: 'G1',
    },
    {
      what: 'an API that treats every watermark as fresh while the invalidator is dead',
      replaced: { replaceInApis: './tests/consistency/broken/trust-always.ts' },
      fault: faultNamed('invalidator-killed'),
      guarantee: 'G2',
    },
    {
      what: 'an API that accepts every consistency token as covered while the invalidator is dead',
      replaced: { replaceInApis: './tests/consistency/broken/satisfy-always.ts' },
      fault: faultNamed('invalidator-killed'),
      guarantee: 'G3',
    },
    {
      what: 'a trigger that makes writes fail',
      fault: inDatabase(`
        create or replace function invalidation.notify() returns void language plpgsql as
          $$ begin raise 'no notification'; end $$`),
      guarantee: 'G5',
      proof: /no notification/,
    },
    {
      what: 'a lock on the event log that makes writers wait',
      // Locks the segments by name. Locking the partitioned table locks the parent first, and could
      // deadlock with writers that reach the parent through a segment.
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
      what: 'reads that wait for an unresponsive Redis',
      replaced: { apiEnv: { REDIS_TIMEOUT_MS: '20000', REDIS_BUDGET_MS: '20000' } },
      fault: { ...faultNamed('redis-stopped'), holdMs: 10_000 },
      guarantee: 'G6',
      proof: /a read without Redis took/,
    },
  ]
  for (const { what, replaced, fault, guarantee, proof = SUPERSEDED } of broken) {
    it(`detects ${what}`, async () => {
      const { phases } = await run({ seed: 1, faults: [fault], calmMs: 3_000, ...replaced })
      const found = phases.flatMap(({ violations }) => violations)
      const reported = found
        .filter((violation) => violation.guarantee === guarantee)
        .map(describeViolation)
      expect(reported.join('\n')).to.match(proof)
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

describe('the guarantees', function () {
  this.timeout(900_000)

  it('hold under all kinds of writes and under faults', async () => {
    const faults = [null, ...new Random(SEED).some(QUICK_FAULTS, FAULTS_OF_A_SHORT_RUN)]
    const { measures, phases } = await run({ seed: SEED, faults, calmMs: 2_000, isMeasured: true })
    const lines = [...measures.map(describeMeasure), ...phases.map(describePhase)]
    expect(lines.filter((line) => !line.startsWith('ok'))).to.deep.equal([])
    expect(phases).to.have.lengthOf(faults.length)
  })
})
