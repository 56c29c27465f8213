import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { stateDir } from '../../scripts/paths.ts'
import { CLUSTER_FAULTS } from './faults/cluster.ts'
import type { Fault } from './faults/fault.ts'
import { FAULTS, FAULTS_OF_REDIS, FAULTS_WITH_CLUSTER } from './faults/index.ts'
import { together } from './faults/together.ts'
import { Random } from './random.ts'
import { describeMeasure, describePhase, describeRun } from './report.ts'
import { run } from './run.ts'

const MINUTE_MS = 60_000
const ALL = [...new Set([...FAULTS, ...FAULTS_WITH_CLUSTER])]
/** No two of these run at once. */
const ofServers = new Set([...FAULTS_OF_REDIS, ...CLUSTER_FAULTS])
const print = (text: string) => void process.stdout.write(`${text}\n`)

interface Options {
  readonly seed: number
  readonly minutes: number
  readonly faults?: readonly Fault[]
  readonly cluster: boolean
  readonly keepGoing: boolean
  readonly measures: boolean
}

const {
  seed,
  minutes,
  cluster: isCluster,
  faults = isCluster ? FAULTS_WITH_CLUSTER : FAULTS,
  keepGoing,
  measures: isMeasured,
} = new Command('npm run test:consistency --')
  .description(
    'Checks the guarantees under load and faults. It shares no code with the system that it tests.',
  )
  .addOption(
    new Option('--seed <n>', 'seed of all random choices; repeats a run')
      .argParser(wholeNumber)
      .default(Date.now() % 1_000_000, 'random'),
  )
  .option('--minutes <m>', 'start no phase after this time', positive, 3)
  .addOption(
    new Option(
      '--faults <names>',
      `none, or a comma-separated list of: ${ALL.map(({ name }) => name).join(', ')}; by default all`,
    ).argParser(named),
  )
  .option('--cluster', 'use a Redis Cluster of three masters and three replicas', false)
  .option('--keep-going', 'continue after a phase with violations', false)
  .option('--no-measures', 'do not measure trigger overhead and loads per invalidation first')
  .parse()
  .opts<Options>()

print(`seed ${seed}`)
const logPath = join(stateDir, `consistency-${seed}.log`)
await rm(logPath, { force: true })
const printLogPath = () => print(`log of the processes: ${logPath}`)
const { measures, phases } = await run({
  isMeasured: isMeasured && !isCluster,
  isCluster,
  keepsGoing: keepGoing,
  onMeasure: (measure) => print(describeMeasure(measure)),
  seed,
  logPath,
  faults: rounds(),
  calmMs: 3_000,
  isLong: minutes > 10,
  forMs: minutes * MINUTE_MS,
  onPhase: (report) => print(describePhase(report)),
}).catch((error: unknown) => {
  printLogPath()
  throw error
})
print(describeRun(phases))
if ([...measures, ...phases].some(({ violations }) => violations.length > 0)) {
  printLogPath()
  process.exitCode = 1
} else await rm(logPath, { force: true })

/** Yields no fault, then each fault once in random order, then pairs, and repeats that. */
function* rounds(): Iterable<Fault | null> {
  const random = new Random(seed).branch('faults')
  for (;;) {
    yield null
    yield* random.shuffled(faults)
    const ofRedis = random.shuffled(faults.filter((fault) => ofServers.has(fault)))
    const others = random.shuffled(faults.filter((fault) => !ofServers.has(fault)))
    for (const [at, other] of others.entries()) {
      const fault = ofRedis[at]
      if (fault) yield together(other, fault)
    }
  }
}

function named(text: string): readonly Fault[] {
  if (text === 'none') return []
  return text.split(',').map((name) => {
    const found = ALL.find((fault) => fault.name === name)
    if (!found) throw new InvalidArgumentError(`unknown fault ${name}`)
    return found
  })
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number')
  return Number(text)
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('must be a number above 0')
  return number
}
