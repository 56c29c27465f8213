import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type MochaOptions, reporters, type Runnable, Runner } from 'mocha'
import { stateDir } from '../../scripts/paths.ts'

/** The result of a test run, for programs. */
export interface TestReport {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Duration of each file with its hooks, in seconds, the longest first. */
  readonly seconds: Readonly<Record<string, number>>
}

/**
 * Prints like `spec`, and writes the results to `.spms/test-report.json`.
 * Mocha requires a default export.
 */
export default class SpecWithReport extends reporters.Spec {
  constructor(runner: Runner, options?: MochaOptions) {
    super(runner, options)
    const took = new Map<string, number>()
    const add = ({ file = '', duration = 0 }: Runnable) =>
      void took.set(file, (took.get(file) ?? 0) + duration)
    runner.on(Runner.constants.EVENT_TEST_END, add)
    runner.on(Runner.constants.EVENT_HOOK_END, add)
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats
      const report: TestReport = {
        passed: passes,
        failed: failures,
        skipped: pending,
        seconds: Object.fromEntries(
          [...took]
            .toSorted(([, a], [, b]) => b - a)
            .map(([file, ms]) => [relative(process.cwd(), file), Math.round(ms / 1000)]),
        ),
      }
      mkdirSync(stateDir, { recursive: true })
      writeFileSync(join(stateDir, 'test-report.json'), `${JSON.stringify(report)}\n`)
    })
  }
}
