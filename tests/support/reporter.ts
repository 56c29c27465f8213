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

/** Number of files that are listed as the slowest. */
const LISTED = 20

/**
 * Prints like `spec`, with the number of finished files on stderr and the slowest files at the end. Writes
 * the results to `.spms/test-report.json`. Mocha requires a default export.
 */
export default class SpecWithReport extends reporters.Spec {
  constructor(runner: Runner, options?: MochaOptions) {
    super(runner, options)
    const took = new Map<string, number>()
    const add = ({ file = '', duration = 0 }: Runnable) =>
      void took.set(file, (took.get(file) ?? 0) + duration)
    runner.on(Runner.constants.EVENT_TEST_END, add)
    runner.on(Runner.constants.EVENT_HOOK_END, add)
    const startedAtMs = performance.now()
    const secondsSinceStart = () => Math.round((performance.now() - startedAtMs) / 1000)
    let lastFile: string | undefined
    runner.on(Runner.constants.EVENT_TEST_END, ({ file }: Runnable) => {
      if (file === lastFile) return
      lastFile = file
      process.stderr.write(`file ${took.size}, ${secondsSinceStart()} s\n`)
    })
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
      const slowest = Object.entries(report.seconds).slice(0, LISTED)
      if (took.size > LISTED) {
        process.stderr.write(`${secondsSinceStart()} s; the slowest files, in seconds:\n`)
        for (const [file, s] of slowest) process.stderr.write(`${String(s).padStart(5)}  ${file}\n`)
      }
      mkdirSync(stateDir, { recursive: true })
      writeFileSync(join(stateDir, 'test-report.json'), `${JSON.stringify(report)}\n`)
    })
  }
}
