import type { Violation } from './oracle/verdict.ts'
import type { PhaseReport } from './phase.ts'
import type { Measure } from './measurements/overhead.ts'

const SHOWN = 5

/** Returns one line for a phase, followed by its violations. */
export function describePhase(report: PhaseReport): string {
  const { name, writes, refused: rejected, reads, unanswered, checks, worstMs, violations } = report
  const figures =
    `${writes} changes (${rejected} failed), ${reads} reads (${unanswered} unanswered), ` +
    `${checks} checks, stalest ${worstMs.toFixed()} ms`
  return describeMeasure({ name, figures, violations })
}

/** Returns one line for a measurement, followed by its violations. */
export function describeMeasure({ name, figures, violations }: Measure): string {
  const line = `${violations.length === 0 ? 'ok ' : 'NOT'} ${name.padEnd(28)} ${figures}`
  const shown = violations.slice(0, SHOWN).map(describeViolation)
  const rest = violations.length - shown.length
  return [line, ...shown, ...(rest > 0 ? [`  and ${rest} more`] : [])].join('\n')
}

/** Returns a violation and the history that proves it. */
export const describeViolation = ({ guarantee, what, timeline }: Violation): string =>
  [`  ${guarantee} ${what}`, ...timeline.map((moment) => `     ${moment}`)].join('\n')

/** Returns totals of the run and the age of the stalest value that was served as fresh. */
export function describeRun(reports: readonly PhaseReport[]): string {
  const sum = (of: (report: PhaseReport) => number) =>
    reports.reduce((total, report) => total + of(report), 0)
  const stalest = (some: readonly PhaseReport[]) =>
    `${Math.max(0, ...some.map(({ worstMs }) => worstMs)).toFixed()} ms`
  const [calm, faulty] = [true, false].map((isCalm) =>
    reports.filter(({ name }) => (name === 'no fault') === isCalm),
  )
  return [
    `${sum(({ writes }) => writes)} changes, ${sum(({ reads }) => reads)} reads, ${sum(({ checks }) => checks)} checks, ${faulty?.length} faults`,
    `stalest value served as fresh: superseded ${stalest(calm ?? [])} before the request without faults, ${stalest(faulty ?? [])} with faults`,
    `${sum(({ violations }) => violations.length)} violations`,
  ].join('\n')
}
