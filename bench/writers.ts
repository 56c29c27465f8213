import { stateDir } from '../scripts/paths.ts'
import { findPgbench } from '../scripts/servers/load-programs.ts'
import type { Part } from './bench.ts'
import { cpuBetween, readCpu } from './cpu.ts'
import { type Figure, shown, shownRange } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { runPgbench } from './pgbench.ts'
import type { Service } from './service.ts'
import { median } from './statistics.ts'
import { table } from './table.ts'

const CLIENTS = [1, 16]
/** Lowest ratios of those clients, beside an invalidator on the same two cores and without one. */
const AT_LEAST_BESIDE = [0.75, 0.65]
const AT_LEAST_ALONE = [0.75, 0.75]

interface Round {
  readonly bare: number
  readonly watched: number
  /** Notifications per commit; NaN without an invalidator. */
  readonly notified: number
  /** Processor time of the invalidator for each event, in microseconds; NaN without one. */
  readonly cpuUs: number
}

/** Rounds of a number of writers, with or without an invalidator on the same machine. */
interface Setting {
  readonly clients: number
  readonly beside: 'an invalidator' | 'no invalidator'
  readonly atLeast: number
  readonly rounds: readonly Round[]
}

/** Measures the cost of the triggers for writers of single rows, with and without an invalidator. */
export const writers: Part = async (bench) => {
  const { servers, quick, print } = bench
  const pgbench = await findPgbench({ stateDir, env: process.env, print })
  const seconds = quick ? 2 : 5

  const measure = async (
    invalidator: Service | null,
    clients: number,
    swapped: boolean,
  ): Promise<Round> => {
    const bareRun = () => runPgbench({ pgbench, url: servers.bareUrl, clients, seconds })
    const look = async () =>
      invalidator && {
        wakeUps: await invalidator.count('spms_wakeups_total'),
        cpu: await readCpu(invalidator.pid),
      }
    // The first of two runs finds a cooler machine, so the order alternates.
    const first = swapped ? undefined : await bareRun()
    const before = await look()
    const watched = await runPgbench({ pgbench, url: servers.databaseUrl, clients, seconds })
    const after = await look()
    const events = watched * seconds
    return {
      bare: first ?? (await bareRun()),
      watched,
      notified: before && after ? (after.wakeUps - before.wakeUps) / events : Number.NaN,
      cpuUs:
        before?.cpu && after?.cpu
          ? (1000 * cpuBetween(before.cpu, after.cpu).ranMs) / events
          : Number.NaN,
    }
  }

  const measureAll = async (
    beside: Setting['beside'],
    invalidator: Service | null,
    atLeast: readonly number[],
  ): Promise<Setting[]> => {
    const all = CLIENTS.map((clients) => ({ clients, rounds: [] as Round[] }))
    for (let round = 0; round < (quick ? 3 : 7); round++) {
      print(`writers beside ${beside}: round ${round + 1}`)
      for (const { clients, rounds } of all)
        rounds.push(await measure(invalidator, clients, round % 2 === 1))
    }
    return all.map((it, i) => ({ ...it, beside, atLeast: atLeast[i] as number }))
  }

  const invalidator = await startInvalidator(bench)
  const settings = await measureAll('an invalidator', invalidator, AT_LEAST_BESIDE)
  await invalidator.stop()
  settings.push(...(await measureAll('no invalidator', null, AT_LEAST_ALONE)))

  const middle = (rounds: readonly Round[], of: (round: Round) => number) => median(rounds.map(of))
  const ratios = (rounds: readonly Round[]) => rounds.map(({ bare, watched }) => watched / bare)
  const orNone = (value: number, unit: string) =>
    Number.isNaN(value) ? '' : `${shown(value)} ${unit}`
  print(
    table(
      ['writers', 'TPS without', 'TPS with', 'ratio', 'of rounds', 'notified', 'CPU per event'],
      settings.map(({ clients, beside, rounds }) => [
        `${clients}, ${beside}`,
        shown(middle(rounds, ({ bare }) => bare)),
        shown(middle(rounds, ({ watched }) => watched)),
        shown(median(ratios(rounds))),
        shownRange(ratios(rounds)),
        orNone(100 * middle(rounds, ({ notified }) => notified), '%'),
        orNone(
          middle(rounds, ({ cpuUs }) => cpuUs),
          'us',
        ),
      ]),
    ),
  )
  const saturated = settings.find(({ clients }) => clients === CLIENTS.at(-1))
  return [
    ...settings.map(({ clients, beside, atLeast, rounds }): Figure => ({
      what: `TPS of ${clients} ${clients === 1 ? 'writer' : 'writers'} beside ${beside}, against no trigger`,
      value: median(ratios(rounds)),
      unit: '',
      budget: { atLeast },
    })),
    {
      what: 'processor time of the invalidator per event, 16 writers',
      value: middle(saturated?.rounds ?? [], ({ cpuUs }) => cpuUs),
      unit: 'us',
      budget: { atMost: 40 },
    },
  ]
}
