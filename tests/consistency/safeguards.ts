import type { Fault } from './faults/fault.ts'
import { FAULTS } from './faults/index.ts'
import type { Guarantee } from './oracle/verdict.ts'
import { describeViolation } from './report.ts'
import { run } from './run.ts'
import { onPostgres } from './stage/on-postgres.ts'
import type { StageOptions } from './stage/stage.ts'

/** A way to break a guarantee in the real processes, and what the checker must report then. */
export interface DisabledSafeguard {
  readonly what: string
  readonly replaced?: StageOptions
  readonly fault: Fault | null
  readonly guarantee: Guarantee
  /** Must match the report. By default the write and transaction that superseded the shown value. */
  readonly proof?: RegExp
}

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
    await onPostgres(stage.postgres.url, (client) => client.query(statements))
    return async () => {}
  },
})

export const DISABLED_SAFEGUARDS: readonly DisabledSafeguard[] = [
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

/** Runs the checker with a disabled safeguard. Returns its report on the guarantee that breaks, and what must match it. */
export async function check({
  replaced,
  fault,
  guarantee,
  proof = SUPERSEDED,
}: DisabledSafeguard): Promise<{ readonly report: string; readonly proof: RegExp }> {
  const { phases } = await run({ seed: 1, faults: [fault], calmMs: 3_000, ...replaced })
  const found = phases.flatMap(({ violations }) => violations)
  const broken = found.filter((violation) => violation.guarantee === guarantee)
  return { report: broken.map(describeViolation).join('\n'), proof }
}
