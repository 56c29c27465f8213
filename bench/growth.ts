import { stateDir } from '../scripts/paths.ts'
import { findWrk } from '../scripts/servers/load-programs.ts'
import { startApi } from './api.ts'
import { untilApplied } from './applied.ts'
import type { Bench, Part } from './bench.ts'
import type { Figure } from './figure.ts'
import { COMMIT_MEASURES, measureCommits } from './growth/commits.ts'
import {
  type Cell,
  type GridRound,
  growthFigures,
  gridTable,
  type Measures,
} from './growth/grid.ts'
import { measureRequests, REQUEST_MEASURES, warmUp } from './growth/requests.ts'
import { openWorlds, type World } from './growth/world.ts'
import { startInvalidator } from './invalidator.ts'
import type { Service } from './service.ts'
import { median, seededRandom, shuffled } from './statistics.ts'
import { createStops } from './stops.ts'
import { runWindows } from './windows.ts'

const SCALES = [1, 10]
const PROCESSES = [1, 2, 4]
const MOST = Math.max(...PROCESSES)

const WINDOW_MEASURES = {
  'empty ms': 'cost',
  'one event ms': 'cost',
  '50,000 events ms': 'cost',
} as const satisfies Measures

/** Measures what hits, misses, commits and windows cost with more data, keys and processes. */
export const growth: Part = async (bench) => {
  const worlds = await openWorlds(bench, SCALES)
  for (const { scale, keys } of worlds)
    bench.print(`growth: ${keys.toLocaleString('en')} keys with ${scale} times the data`)
  return [
    ...(await measureApis(bench, worlds)),
    ...(await measureInvalidators(bench, worlds)),
    ...(await measureWindows(bench, worlds)),
  ]
}

async function measureApis(bench: Bench, worlds: readonly World[]): Promise<Figure[]> {
  const wrk = await findWrk({ stateDir, env: process.env, print: bench.print })
  const seconds = bench.quick ? 2 : 5
  await using stops = createStops()
  const running = new Map<World, readonly Service[]>()
  for (const world of worlds) {
    const own = { ...world.bench, onStop: stops.onStop }
    await startInvalidator(own)
    await untilApplied(own.servers)
    const apis = await Promise.all(Array.from({ length: MOST }, () => startApi(own, true)))
    await world.refill()
    await warmUp(world, apis[0] as Service)
    running.set(world, apis)
    // Runs compiled code from the first round on.
    await measureRequests(world, apis, { wrk, seconds: 2 })
  }
  // Awaited here, because leaving this function stops the processes.
  return await measureGrid(bench, worlds, {
    title: 'API processes',
    measures: REQUEST_MEASURES,
    counts: PROCESSES,
    measure: async (world, count) => {
      const apis = (running.get(world) ?? []).slice(0, count)
      await warmUp(world, apis[0] as Service)
      return measureRequests(world, apis, { wrk, seconds })
    },
  })
}

const measureInvalidators = (bench: Bench, worlds: readonly World[]): Promise<Figure[]> =>
  measureGrid(bench, worlds, {
    title: 'invalidators',
    measures: COMMIT_MEASURES,
    counts: PROCESSES,
    measure: (world, count) => measureCommits(world, count, bench.quick ? 3 : 10),
  })

const measureWindows = (bench: Bench, worlds: readonly World[]): Promise<Figure[]> =>
  measureGrid(bench, worlds, {
    title: 'worker without its scheduler',
    measures: WINDOW_MEASURES,
    counts: [1],
    async measure(world) {
      const sizes = { windows: bench.quick ? 100 : 500, drains: 1 }
      const { emptyMs, singleMs, drainMs } = await runWindows(world.bench.servers, sizes)
      return {
        'empty ms': median(emptyMs),
        'one event ms': median(singleMs),
        '50,000 events ms': median(drainMs),
      }
    },
  })

interface GridOptions {
  readonly title: string
  readonly measures: Measures
  readonly counts: readonly number[]
  measure(world: World, count: number): Promise<Readonly<Record<string, number>>>
}

/** Measures every cell once in each round, in random order. Prints their table. */
async function measureGrid(
  { quick, print }: Bench,
  worlds: readonly World[],
  { title, measures, counts, measure }: GridOptions,
): Promise<Figure[]> {
  const places = worlds.flatMap((world) =>
    counts.map((processes) => ({ world, cell: { scale: world.scale, processes } satisfies Cell })),
  )
  const cells = places.map(({ cell }) => cell)
  const random = seededRandom(1)
  const rounds: GridRound[] = []
  for (let round = 1; round <= (quick ? 3 : 7); round++) {
    print(`growth: ${title}, round ${round}`)
    for (const world of worlds) await world.refill()
    const found = new Map<Cell, Readonly<Record<string, number>>>()
    for (const { world, cell } of shuffled(places, random)) {
      found.set(cell, await measure(world, cell.processes))
    }
    rounds.push(found)
  }
  print(gridTable(title, measures, cells, rounds))
  return growthFigures(measures, cells, rounds)
}
