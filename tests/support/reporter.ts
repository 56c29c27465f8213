import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type MochaOptions, reporters, Runner } from 'mocha'
import { stateDir } from '../../scripts/paths.ts'

/** What a test run came to, for those who read no text. */
export interface TestReport {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/**
 * Prints as `spec` does, and leaves the counts in `.spms/test-report.json`.
 * A default export, because mocha takes a reporter in no other way.
 */
export default class SpecWithReport extends reporters.Spec {
  constructor(runner: Runner, options?: MochaOptions) {
    super(runner, options)
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats
      const report: TestReport = { passed: passes, failed: failures, skipped: pending }
      mkdirSync(stateDir, { recursive: true })
      writeFileSync(join(stateDir, 'test-report.json'), `${JSON.stringify(report)}\n`)
    })
  }
}
