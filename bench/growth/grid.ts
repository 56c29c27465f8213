import { type Figure, shown, shownRange } from '../figure.ts'
import { median } from '../statistics.ts'
import { table } from '../table.ts'

/** A number of processes at one amount of data. */
export interface Cell {
  readonly scale: number
  readonly processes: number
}

/** The results of one round, with a number for each measure in each cell. */
export type GridRound = ReadonlyMap<Cell, Readonly<Record<string, number>>>

/** Measures by name. Only costs are compared with their budget. */
export type Measures = Readonly<Record<string, 'cost' | 'check'>>

/** More than this is growth. */
const FLAT = 1.3

/** Returns a table of the medians, and of the ratios to the first cell of the same round. */
export function gridTable(
  title: string,
  measures: Measures,
  cells: readonly Cell[],
  rounds: readonly GridRound[],
): string {
  const [first] = cells
  return table(
    [
      title,
      ...Object.entries(measures).flatMap(([name, kind]) =>
        kind === 'cost' ? [name, 'x', 'of rounds'] : [name],
      ),
    ],
    cells.map((cell) => [
      `${cell.scale} x data, ${cell.processes} ${cell.processes === 1 ? 'process' : 'processes'}`,
      ...Object.entries(measures).flatMap(([name, kind]) => {
        const found = shown(median(rounds.map((round) => valueIn(round, cell, name))))
        if (kind === 'check') return [found]
        const ratios = ratiosOf(rounds, name, cell, first as Cell)
        return [found, shown(median(ratios)), shownRange(ratios)]
      }),
    ]),
  )
}

/** Returns for each cost its largest growth with the data, and with the number of processes. */
export function growthFigures(
  measures: Measures,
  cells: readonly Cell[],
  rounds: readonly GridRound[],
): Figure[] {
  const worst = (name: string, baseOf: (cell: Cell) => Cell | undefined) =>
    Math.max(...cells.map((cell) => median(ratiosOf(rounds, name, cell, baseOf(cell) as Cell))))
  const figure = (what: string, value: number): Figure => ({
    what: `growth of ${what}`,
    value,
    unit: '',
    budget: { atMost: FLAT },
  })
  const costs = Object.keys(measures).filter((name) => measures[name] === 'cost')
  const [first] = cells
  const counts = new Set(cells.map(({ processes }) => processes))
  return costs.flatMap((name) => [
    figure(
      `${name}, with the data`,
      worst(name, ({ processes }) =>
        cells.find((base) => base.scale === first?.scale && base.processes === processes),
      ),
    ),
    ...(counts.size > 1
      ? [
          figure(
            `${name}, with the processes`,
            worst(name, ({ scale }) => cells.find((base) => base.scale === scale)),
          ),
        ]
      : []),
  ])
}

const ratiosOf = (rounds: readonly GridRound[], name: string, cell: Cell, base: Cell) =>
  rounds.map((round) => valueIn(round, cell, name) / valueIn(round, base, name))

const valueIn = (round: GridRound, cell: Cell, name: string) =>
  round.get(cell)?.[name] ?? Number.NaN
