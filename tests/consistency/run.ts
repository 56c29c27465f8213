import type { Fault } from './faults/fault.ts'
import { openObserver } from './observer.ts'
import { openWatermarks } from './watermarks.ts'
import { createPhaseRunner, type PhaseReport } from './phase.ts'
import { measureLoads } from './measurements/loads.ts'
import { type Measure, measureOverhead } from './measurements/overhead.ts'
import { Random } from './random.ts'
import { openStage, type StageOptions } from './stage/stage.ts'

export interface RunOptions extends StageOptions {
  readonly seed: number
  /** One fault for each phase, in this order; `null` is a phase without a fault. */
  readonly faults: Iterable<Fault | null>
  /** How long readers and writers run before and after a fault, in ms. */
  readonly calmMs: number
  readonly isLong?: boolean
  /** No phase begins after this time, in ms. */
  readonly forMs?: number
  /** Whether the run continues after a phase with violations. */
  readonly keepsGoing?: boolean
  /** Whether to measure the cost of triggers and the number of loads before the phases. */
  readonly isMeasured?: boolean
  readonly onMeasure?: (measure: Measure) => void
  readonly onPhase?: (report: PhaseReport) => void
}

export interface Result {
  readonly measures: readonly Measure[]
  readonly phases: readonly PhaseReport[]
}

/** Opens a stage, measures, and runs one phase after the other until one has violations. */
export async function run(options: RunOptions): Promise<Result> {
  const random = new Random(options.seed)
  await using stage = await openStage(options)
  await using observer = openObserver(openWatermarks(stage))
  const runner = createPhaseRunner({ stage, observer, random, isLong: options.isLong ?? false })
  const measures: Measure[] = []
  for (const measure of options.isMeasured ? [measureOverhead, measureLoads] : []) {
    const measured = await measure(stage, random.branch(measure.name))
    measures.push(measured)
    options.onMeasure?.(measured)
  }
  const phases: PhaseReport[] = []
  const endMs = performance.now() + (options.forMs ?? Infinity)
  for (const fault of options.faults) {
    if (performance.now() >= endMs) break
    const report = await runner.runPhase(fault, options.calmMs)
    phases.push(report)
    options.onPhase?.(report)
    if (report.violations.length > 0 && !options.keepsGoing) break
  }
  return { measures, phases }
}
