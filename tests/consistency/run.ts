import type { Fault } from './faults/fault.ts'
import { openObserver } from './observer.ts'
import { createTheatre, type PhaseReport } from './phase.ts'
import { measureLoads } from './phases/loads.ts'
import { type Measure, measureOverhead } from './phases/overhead.ts'
import { Random } from './random.ts'
import { openStage, type StageOptions } from './stage/stage.ts'

export interface RunOptions extends StageOptions {
  readonly seed: number
  /** In their order; `null` is a phase without one. */
  readonly faults: Iterable<Fault | null>
  /** How long everybody works before and after a fault. */
  readonly calmMs: number
  readonly isLong?: boolean
  /** Begins no further phase after so long. */
  readonly forMs?: number
  /** Begins further phases also after one that was violated. */
  readonly keepsGoing?: boolean
  /** First what triggers cost and how often things are loaded: each by itself. */
  readonly isMeasured?: boolean
  readonly onMeasure?: (measure: Measure) => void
  readonly onPhase?: (report: PhaseReport) => void
}

export interface Result {
  readonly measures: readonly Measure[]
  readonly phases: readonly PhaseReport[]
}

/** Opens a stage, measures, and plays one phase after the other until one is violated. */
export async function run(options: RunOptions): Promise<Result> {
  const random = new Random(options.seed)
  await using stage = await openStage(options)
  await using observer = openObserver(stage.paths.apisToRedis.url, stage.keys.watermark)
  const theatre = createTheatre({ stage, observer, random, isLong: options.isLong ?? false })
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
    const report = await theatre.play(fault, options.calmMs)
    phases.push(report)
    options.onPhase?.(report)
    if (report.violations.length > 0 && !options.keepsGoing) break
  }
  return { measures, phases }
}
