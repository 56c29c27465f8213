import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './faults/fault.ts'
import type { Observer } from './observer.ts'
import { Allowances } from './oracle/allowances.ts'
import { checkReads, type Violation } from './oracle/verdict.ts'
import { compare, quiesce } from './oracle/quiescence.ts'
import { Truth } from './oracle/truth.ts'
import { checkWriters, watchLockWaits } from './oracle/writers.ts'
import { checkReaders } from './oracle/readers.ts'
import type { Random } from './random.ts'
import { createClient } from './readers/client.ts'
import { startControl } from './readers/control.ts'
import { type Running, type Seen, startReaders } from './readers/readers.ts'
import { onPostgres } from './stage/on-postgres.ts'
import { MAX_STALENESS_MS, type Stage } from './stage/stage.ts'
import { startApiWriters } from './writers/api-writers.ts'
import { type Door, DOORS, PREPARED_DOORS } from './writers/doors.ts'
import { WriteLog } from './writers/log.ts'
import { startSqlWriters, type WriteFailure } from './writers/sql-writers.ts'

const SQL_WRITERS = 5

/** Results of one phase. */
export interface PhaseReport {
  readonly name: string
  readonly writes: number
  readonly refused: number
  readonly reads: number
  readonly unanswered: number
  readonly checks: number
  readonly worstMs: number
  readonly violations: readonly Violation[]
}

export interface PhaseRunnerOptions {
  readonly stage: Stage
  readonly observer: Observer
  readonly random: Random
  readonly isLong: boolean
}

/** Runs writers, readers and faults on a stage, and checks the answers after each phase. */
export interface PhaseRunner {
  /** Runs one phase. Readers and writers run before, during and after the fault. */
  runPhase(fault: Fault | null, calmMs: number): Promise<PhaseReport>
}

export function createPhaseRunner({
  stage,
  observer,
  random,
  isLong,
}: PhaseRunnerOptions): PhaseRunner {
  const log = new WriteLog()
  const truth = new Truth(log)
  const allowances = new Allowances({ maxStalenessMs: MAX_STALENESS_MS })
  const client = createClient(stage.system, stage.session)
  const fresh = createClient(stage.uncached, stage.session)
  let phases = 0

  return {
    async runPhase(fault, calmMs) {
      const phaseRandom = random.branch(`phase ${++phases}`)
      const seen: Seen = { reads: [], failures: [] }
      const failures: WriteFailure[] = []
      const firstWrite = log.size
      allowances.clear()
      await onPostgres(stage.writersUrl, (postgres) => truth.advance(postgres))

      const common = { log, failures, random: phaseRandom }
      const writers: Running[] = [
        startSqlWriters({ ...common, url: stage.writersUrl, doors: DOORS, count: SQL_WRITERS }),
        startSqlWriters({ ...common, url: stage.preparedUrl, doors: PREPARED_DOORS, count: 1 }),
      ]
      const api = startApiWriters({
        ...common,
        system: stage.system,
        session: stage.session,
        client,
        seen,
      })
      const readers = startReaders(client, phaseRandom, seen, () => api.lastToken())
      const control = startControl(fresh)
      const waits = watchLockWaits(stage.writersUrl, () => allowances.isLogLocked)
      const write = (doors: readonly Door[]) => {
        const writer = startSqlWriters({ ...common, url: stage.writersUrl, doors, count: 1 })
        writers.push(writer)
        return writer
      }
      const violations: Violation[] = []
      let controlMs = 0
      try {
        await sleep(calmMs)
        if (fault) {
          const scene = { stage, observer, allowances, random: phaseRandom, isLong, write }
          const recover = await fault.inject(scene)
          await sleep(fault.holdMs)
          violations.push(...((await recover()) ?? []))
        }
        await sleep(calmMs)
      } finally {
        // Stops all of them even after an error: a running one would keep the process alive.
        try {
          await Promise.all([...writers, api].map((writer) => writer.stop()))
          await endPrepared(stage)
          violations.push(...(await quiesce(stage.writersUrl, observer)))
        } finally {
          await readers.stop()
          controlMs = await control.stop()
          violations.push(...(await waits.stop()))
        }
      }
      if (violations.length === 0) {
        violations.push(...(await compare(client, fresh)).violations)
      }

      const written = await onPostgres(stage.writersUrl, (postgres) => truth.advance(postgres))
      allowances.lose(
        log
          .since(firstWrite)
          .filter((write) => write.outcome !== 'rolled back' && !truth.holds(write)),
      )
      const verdict = checkReads(seen.reads, { truth, log, observer, allowances })
      violations.push(...verdict.violations, ...checkReaders(seen, fault, controlMs))
      violations.push(...checkWriters(failures, fault))
      observer.prune(performance.now())
      return {
        name: fault?.name ?? 'no fault',
        writes: written,
        refused: failures.length,
        reads: seen.reads.length,
        unanswered: seen.failures.length,
        checks: verdict.checks,
        worstMs: verdict.worstMs,
        violations,
      }
    },
  }
}

/** Rolls back prepared transactions whose writers lost their connection, since they still hold locks. */
const endPrepared = (stage: Stage) =>
  onPostgres(stage.writersUrl, async (client) => {
    const { rows } = await client.query<{ gid: string }>('select gid from pg_prepared_xacts')
    for (const { gid } of rows) await client.query(`rollback prepared '${gid}'`)
  })
