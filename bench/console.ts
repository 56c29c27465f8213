import { setTimeout as sleep } from 'node:timers/promises'
import { stateDir } from '../scripts/paths.ts'
import { findPgbench } from '../scripts/servers/load-programs.ts'
import type { Bench, Part } from './bench.ts'
import { openPages } from './console/pages.ts'
import { cpuBetween, readCpu } from './cpu.ts'
import { type Figure, shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { LAST_WRITTEN_ID, runPgbench } from './pgbench.ts'
import { probe } from './probe.ts'
import { findProfileIds } from './profiles.ts'
import type { Service } from './service.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'

const PAGES = 10
const CHANGES_PER_S = 5_000
/** A transaction changes several rows one by one, so that commits do not limit the rate. */
const CHANGES_PER_COMMIT = 10
const WRITERS = 4
const PROBES_PER_S = 50
const ROUNDS = 3
const WARM_UP_MS = 10_000
const IDLE_MS = 60_000

/** Measures what the console costs the invalidator, idle and under load, without and with open pages. */
export const console: Part = async (bench) => {
  const { servers, quick } = bench
  // At the same time, so that other work on the machine costs both the same.
  const without = await startInvalidator(bench, {
    CACHE_PREFIX: `${servers.prefix}-without`,
    CONSOLE_ENABLED: 'false',
  })
  const invalidator = await startInvalidator(bench)
  // Until then they also compile their code, and flush what they found.
  await sleep(quick ? 2_000 : WARM_UP_MS)
  const alone = await measureIdle(without, invalidator, quick)
  const pages = openPages(invalidator.metrics, PAGES)
  await sleep(2_000)
  const watched = await measureIdle(without, invalidator, quick)
  await pages.close()
  await without.stop()
  const shares = ({ without, console }: Idle) =>
    [without, console].map((share) => `${shown(100 * share)} %`)
  bench.print(
    table(
      ['idle invalidator', 'without console', 'with console'],
      [
        ['no page', ...shares(alone)],
        [`${PAGES} pages`, ...shares(watched)],
      ],
    ),
  )

  const { rounds, rows } = await measureLoad(bench, invalidator)
  await invalidator.stop()
  bench.print(table(['load', 'changes/s', 'lag p50, ms', 'lag p99, ms', 'CPU', 'pages'], rows))
  const figure = (what: string, value: number, atMost: number): Figure => ({
    what,
    value,
    unit: '',
    budget: { atMost },
  })
  const costOf = ({ without, console }: Idle) => 100 * (console - without)
  return [
    figure('percent of a core for the console, no page', costOf(alone), 0.5),
    figure(`percent of a core for the console, ${PAGES} pages`, costOf(watched), 5),
    figure(
      `lag p99 at ${CHANGES_PER_S} changes/s with ${PAGES} pages, against none`,
      median(rounds),
      1.2,
    ),
  ]
}

/** Changes rows at a fixed rate, without and with pages in turns. */
async function measureLoad(bench: Bench, invalidator: Service) {
  const { servers, quick, print } = bench
  const pgbench = await findPgbench({ stateDir, env: process.env, print })
  const ids = (await findProfileIds(servers.databaseUrl)).filter((id) => +id > LAST_WRITTEN_ID)
  const seconds = quick ? 5 : 60
  const rows: string[][] = []

  const measure = async (count: number): Promise<number> => {
    const pages = openPages(invalidator.metrics, count)
    const load = runPgbench({
      ...{ pgbench, url: servers.databaseUrl, clients: WRITERS, seconds: seconds + 1 },
      perS: CHANGES_PER_S / CHANGES_PER_COMMIT,
      changes: CHANGES_PER_COMMIT,
    })
    const before = await readCpu(invalidator.pid)
    const [lags, tps] = await Promise.all([
      probe({ ...servers, ids, perS: PROBES_PER_S, seconds }),
      load,
    ])
    const after = await readCpu(invalidator.pid)
    const { changes, skipped, slowestMs } = pages
    await pages.close()
    const p99 = quantile(lags, 0.99)
    const cpu = before && after ? cpuBetween(before, after) : null
    rows.push([
      `${count} pages`,
      shown(tps * CHANGES_PER_COMMIT),
      shown(quantile(lags, 0.5)),
      shown(p99),
      cpu === null ? '' : `${shown((100 * cpu.ranMs) / cpu.overMs)} %`,
      count === 0
        ? ''
        : `${shown(changes / count)} shown and ${shown(skipped / count)} not, overview within ${shown(slowestMs)} ms`,
    ])
    return p99
  }

  const rounds: number[] = []
  for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
    print(`console: ${CHANGES_PER_S} changes a second, round ${round + 1}`)
    // The first of two runs finds a cooler machine, so the order alternates.
    const first = await measure(round % 2 === 0 ? 0 : PAGES)
    const second = await measure(round % 2 === 0 ? PAGES : 0)
    rounds.push(round % 2 === 0 ? second / first : first / second)
  }
  return { rounds, rows }
}

/** Shares of a core of two idle invalidators, measured at the same time. */
interface Idle {
  readonly without: number
  readonly console: number
}

async function measureIdle(without: Service, console: Service, quick: boolean): Promise<Idle> {
  const before = [await readCpu(without.pid), await readCpu(console.pid)]
  await sleep(quick ? 5_000 : IDLE_MS)
  const after = [await readCpu(without.pid), await readCpu(console.pid)]
  const shareOf = (at: 0 | 1) => {
    const [was, is] = [before[at], after[at]]
    if (!was || !is) throw new Error('an invalidator has ended')
    const { ranMs, overMs } = cpuBetween(was, is)
    return ranMs / overMs
  }
  return { without: shareOf(0), console: shareOf(1) }
}
