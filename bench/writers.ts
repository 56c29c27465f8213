import { stateDir } from '../scripts/paths.ts'
import { findPgbench } from '../scripts/servers/load-programs.ts'
import type { Part } from './bench.ts'
import { type Figure, shown, shownRange } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { runPgbench } from './pgbench.ts'
import { median } from './statistics.ts'
import { table } from './table.ts'

const CLIENTS = [1, 16]

interface Round {
  readonly bare: number
  readonly watched: number
  /** Notifications per commit. */
  readonly notified: number
}

/** Measures the cost of the triggers for writers of single rows, while an invalidator runs. */
export const writers: Part = async (bench) => {
  const { servers, quick, print } = bench
  const pgbench = await findPgbench({ stateDir, env: process.env, print })
  const invalidator = await startInvalidator(bench)
  const seconds = quick ? 2 : 5
  const wakeUps = () => invalidator.count('spms_wakeups_total')

  const measure = async (clients: number, swapped: boolean): Promise<Round> => {
    const bareRun = () => runPgbench({ pgbench, url: servers.bareUrl, clients, seconds })
    // The first of two runs finds a cooler machine, so the order alternates.
    const first = swapped ? undefined : await bareRun()
    const before = await wakeUps()
    const watched = await runPgbench({ pgbench, url: servers.databaseUrl, clients, seconds })
    const notified = ((await wakeUps()) - before) / (watched * seconds)
    return { bare: first ?? (await bareRun()), watched, notified }
  }

  const rounds = new Map(CLIENTS.map((clients): [number, Round[]] => [clients, []]))
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    print(`writers: round ${round + 1}`)
    for (const [clients, done] of rounds) done.push(await measure(clients, round % 2 === 1))
  }
  await invalidator.stop()

  const ratios = (done: readonly Round[]) => done.map(({ bare, watched }) => watched / bare)
  print(
    table(
      ['writers', 'TPS without', 'TPS with', 'ratio', 'of rounds', 'commits that notified'],
      [...rounds].map(([clients, done]) => [
        `${clients}`,
        shown(median(done.map(({ bare }) => bare))),
        shown(median(done.map(({ watched }) => watched))),
        shown(median(ratios(done))),
        shownRange(ratios(done)),
        `${shown(100 * median(done.map(({ notified }) => notified)))} %`,
      ]),
    ),
  )
  return [...rounds].map(([clients, done]): Figure => ({
    what: `TPS of ${clients} ${clients === 1 ? 'writer' : 'writers'}, against no trigger`,
    value: median(ratios(done)),
    unit: '',
    budget: clients === 1 ? null : { atLeast: 0.65 },
  }))
}
