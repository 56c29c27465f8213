import { cpus, loadavg } from 'node:os'
import { Argument, Command } from 'commander'
import { describeFailure } from '../scripts/describe-failure.ts'
import type { Part } from './bench.ts'
import { build } from './build.ts'
import { shareOutCores } from './cores.ts'
import { bulk } from './bulk.ts'
import { budgetTable, type Figure } from './figure.ts'
import { cluster } from './cluster.ts'
import { console as consolePart } from './console.ts'
import { comparison } from './comparison.ts'
import { dead } from './dead.ts'
import { drain } from './drain.ts'
import { growth } from './growth.ts'
import { http } from './http.ts'
import { lag } from './lag.ts'
import { memory } from './memory.ts'
import { mix } from './mix.ts'
import { openServers } from './servers.ts'
import { recovery } from './recovery.ts'
import { scale } from './scale.ts'
import { sizing } from './sizing.ts'
import { statements } from './statements.ts'
import { writers } from './writers.ts'

const parts: Readonly<Record<string, Part>> = {
  http,
  writers,
  statements,
  lag,
  memory,
  sizing,
  drain,
  bulk,
  scale,
  dead,
  recovery,
  mix,
  console: consolePart,
}

/** Parts that run only by name: they take long, or download packages. */
const partsByName: Readonly<Record<string, Part>> = {
  cluster,
  // prose-ok: the name of the part
  rivals: comparison,
  growth,
}

const program = new Command('bench')
  .description(
    'Measures this checkout on its own servers, and compares the figures with their budgets.',
  )
  .option('--quick', 'short rounds; do not quote the figures')
  .addArgument(
    new Argument('[part]', 'one part instead of all').choices([
      ...Object.keys(parts),
      ...Object.keys(partsByName),
    ]),
  )
  .showHelpAfterError()
  .action((part: string | undefined, { quick = false }: Options) => run(part, quick))

interface Options {
  readonly quick?: boolean
}

// Keeps the event loop alive: the child processes, and promises that wait for them, do not.
setInterval(() => undefined, 1_000)
const print = (line: string) => console.log(line)
const stops: (() => Promise<unknown>)[] = []
const stopRequested = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve())
})

try {
  await Promise.race([program.parseAsync(), stopRequested])
} catch (error) {
  process.exitCode = 1
  console.error(describeFailure(error))
}
for (const stop of stops.toReversed()) {
  await stop().catch((error: unknown) => {
    process.exitCode = 1
    console.error(error)
  })
}
// Ends measurements that are still running.
process.exit()

async function run(only: string | undefined, quick: boolean): Promise<void> {
  const onStop = (stop: () => Promise<unknown>) => void stops.push(stop)
  const [cpu] = cpus()
  print(`${cpus().length} x ${cpu?.model ?? 'processor'}, Node ${process.version}`)
  print(
    `load average ${loadavg()[0]?.toFixed(1)}: compare ratios within a run, not figures of different runs`,
  )
  await build()
  const servers = await openServers({ env: process.env, print, onStop })
  const bench = { servers, cores: await shareOutCores(), quick, print, onStop }

  const all = { ...parts, ...partsByName }
  const names = only === undefined ? Object.keys(parts) : [only]
  const figures: Figure[] = []
  for (const name of names) figures.push(...((await all[name]?.(bench)) ?? []))
  if (figures.length > 0) print(`\n${budgetTable(figures)}`)
}
