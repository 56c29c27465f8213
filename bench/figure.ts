import { table } from './table.ts'

/** One measured number, and what the design asks of it. */
export interface Figure {
  readonly what: string
  /** `null`: refused, and `note` says why. */
  readonly value: number | null
  readonly unit: '' | 'ms' | 'bytes' | 'events' | 'events/s'
  /** What it should be at most, or at least; `null` where the design asks nothing. */
  readonly budget: Budget | null
  readonly note?: string
}

type Budget = { readonly atMost: number } | { readonly atLeast: number }

/** The figures beside their budgets. */
export const budgetTable = (figures: readonly Figure[]): string =>
  table(
    ['against the budgets', 'measured', 'budget', ''],
    figures.map(({ what, value, unit, budget, note }) => [
      what,
      value === null ? 'refused' : withUnit(value, unit),
      budget === null ? '' : bound(budget, unit),
      [value !== null && budget !== null && verdict(value, budget), note]
        .filter(Boolean)
        .join(', '),
    ]),
  )

const bound = (budget: Budget, unit: Figure['unit']) =>
  'atMost' in budget
    ? `<= ${withUnit(budget.atMost, unit)}`
    : `>= ${withUnit(budget.atLeast, unit)}`

const verdict = (value: number, budget: Budget) =>
  ('atMost' in budget ? value <= budget.atMost : value >= budget.atLeast) ? 'met' : 'missed'

const withUnit = (value: number, unit: Figure['unit']) => `${shown(value)} ${unit}`.trim()

/** Three digits that mean something; whole above a hundred. */
export function shown(value: number): string {
  if (Number.isNaN(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
