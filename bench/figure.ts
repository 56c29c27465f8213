import { quantile } from './statistics.ts'
import { table } from './table.ts'

/** One measured number and its budget. */
export interface Figure {
  readonly what: string
  /** Null if the measurement is invalid; `note` gives the reason. */
  readonly value: number | null
  readonly unit: '' | 'us' | 'ms' | 'bytes' | 'events' | 'events/s'
  /** The upper or lower bound of the design; null if there is none. */
  readonly budget: Budget | null
  readonly note?: string
}

type Budget = { readonly atMost: number } | { readonly atLeast: number }

/** Returns a table of the figures and their budgets. */
export const budgetTable = (figures: readonly Figure[]): string =>
  table(
    ['against the budgets', 'measured', 'budget', ''],
    figures.map(({ what, value, unit, budget, note }) => [
      what,
      value === null ? 'invalid' : withUnit(value, unit),
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

/** Formats a number with three significant digits, or as a whole number from 100. */
export function shown(value: number): string {
  if (Number.isNaN(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/** Formats the smallest and the largest of some numbers. */
export const shownRange = (values: readonly number[]): string =>
  `${shown(quantile(values, 0))} to ${shown(quantile(values, 1))}`
