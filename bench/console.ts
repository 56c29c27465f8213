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

/** Measures what the console costs the invalidator, idle and under load, without and with open pages. */
export const console: Part = async (bench) => {
  const { quick } = bench
  const idleS = quick ? 5 : 30
  const without = await startInvalidator(bench, { CONSOLE_ENABLED: 'false' })
  const bare = await shareOfCore(without, idleS)
  await without.stop()

  const invalidator = await startInvalidator(bench)
  const alone = await shareOfCore(invalidator, idleS)
  const pages = openPages(invalidator.metrics, PAGES)
  await sleep(2_000)
  const watched = await shareOfCore(invalidator, idleS)
  await pages.close()
  const { rounds, rows } = await measureLoad(bench, invalidator)
  await invalidator.stop()

  bench.print(
    table(
      ['idle invalidator', 'share of a core'],
      [
        ['without console', `${shown(100 * bare)} %`],
        ['with console, no page', `${shown(100 * alone)} %`],
        [`with console, ${PAGES} pages`, `${shown(100 * watched)} %`],
      ],
    ),
  )
  bench.print(table(['load', 'changes/s', 'lag p50, ms', 'lag p99, ms', 'CPU', 'pages'], rows))
  const figure = (what: string, value: number, atMost: number): Figure => ({
    what,
    value,
    unit: '',
    budget: { atMost },
  })
  return [
    figure('percent of a core for the console, no page', 100 * (alone - bare), 0.5),
    figure(`percent of a core for the console, ${PAGES} pages`, 100 * (watched - bare), 5),
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

async function shareOfCore({ pid }: Service, seconds: number): Promise<number> {
  const before = await readCpu(pid)
  await sleep(seconds * 1_000)
  const after = await readCpu(pid)
  if (before === null || after === null) throw new Error('the invalidator has ended')
  const { ranMs, overMs } = cpuBetween(before, after)
  return ranMs / overMs
}
