import { Command, InvalidArgumentError } from 'commander'
import { CACHE_PREFIX, type Environment } from '../shared/config.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { ignoreClosedPipe } from './closed-pipe.ts'
import { describeFailure } from './describe-failure.ts'
import { stateDir } from './paths.ts'
import { type Discovered, discover } from './servers/discover.ts'
import { stopSignal } from './verbs/stop-signal.ts'

ignoreClosedPipe()

const program = new Command('spms')
  .description('Uses DATABASE_URL, or the servers of the `npm start` that runs in this folder.')
  .showHelpAfterError()

program
  .command('migrate')
  .description('create the tables of an empty database, or apply pending migrations')
  .action(async () => {
    const { runMigrate } = await import('./verbs/migrate.ts')
    await runMigrate((await find()).databaseUrl)
  })

program
  .command('install')
  .description('install the schema `invalidation` and its triggers in an SPMS database')
  .option('--print', 'print the SQL for a DBA instead of running it')
  .action(async ({ print }: { readonly print?: true }) => {
    const { runInstall } = await import('./verbs/install.ts')
    await runInstall((await find()).databaseUrl, { print: print ?? false })
  })

program
  .command('grant')
  .description(
    'grant the roles of the services the rights that they need; requires the owner of the tables',
  )
  .action(async () => {
    const { runGrant } = await import('./verbs/grant.ts')
    await runGrant((await find()).databaseUrl)
  })

program
  .command('uninstall')
  .description('remove the schema `invalidation` and its triggers')
  .action(async () => {
    const { runUninstall } = await import('./verbs/uninstall.ts')
    await runUninstall((await find()).databaseUrl)
  })

program
  .command('retire')
  .description('stop watching columns that only other builds of this program need')
  .action(async () => {
    const { runRetire } = await import('./verbs/retire.ts')
    await runRetire((await find()).databaseUrl)
  })

program
  .command('empty-log')
  .description('empty the event log while no invalidator runs; the next one flushes everything')
  .action(async () => {
    const { runEmptyLog } = await import('./verbs/empty-log.ts')
    await runEmptyLog((await find()).databaseUrl)
  })

program
  .command('status')
  .description('print the installed rules, drift, backlog, lag and the age of the watermarks')
  .action(async () => {
    const { runStatus } = await import('./verbs/status.ts')
    await runStatus(await find(), prefix())
  })

program
  .command('doctor')
  .description('examine the live servers, and print problems with their consequences and remedies')
  .action(async () => {
    const { runDoctor } = await import('./verbs/doctor.ts')
    if (!(await runDoctor(await find(), environment()))) process.exitCode = 1
  })

program
  .command('verify')
  .description('compare cached values with Postgres, and delete wrong ones')
  .option('--sample <n>', 'compare n random entries instead of all', parseCount)
  .option(
    '--watch',
    'compare 100 random entries (or --sample) 1, 10 and 60 s after changes, until it is stopped; metrics on METRICS_PORT',
  )
  .action(async ({ sample, watch = false }: { sample?: number; watch?: boolean }) => {
    const { runVerify } = await import('./verbs/verify.ts')
    const options = { watch, ...(sample !== undefined && { sample }) }
    if (!(await runVerify(await find(), environment(), options))) process.exitCode = 1
  })

program
  .command('explain <key-or-url>')
  .description('print whether an entry is cached, since when, and what makes it stale')
  .option('--as <user-id>', 'request the URL as this user')
  .action(async (what: string, { as }: { readonly as?: string }) => {
    const { runExplain } = await import('./verbs/explain.ts')
    await runExplain(await find(), environment(), what, as)
  })

program
  .command('tail')
  .description('print changes after their commit, and the entries that each invalidates')
  .action(async () => {
    const { runTail } = await import('./verbs/tail.ts')
    await runTail(await find(), prefix(), stopSignal())
  })

program
  .command('flush <what>')
  .description('flush a resource, or the resources whose keys match a key or a pattern')
  .action(async (what: string) => {
    const { runFlush } = await import('./verbs/flush.ts')
    await runFlush(await find(), prefix(), what)
  })

program
  .command('seed')
  .description('fill an empty database with example data, identical in every run')
  .option('--scale <n>', 'multiple of the usual size', parseScale)
  .action(async ({ scale }: { readonly scale?: number }) => {
    const { runSeed } = await import('./verbs/seed.ts')
    await runSeed((await find()).databaseUrl, scale, process.env.MEDIA_ROOT)
  })

program
  .command('sql <statements>')
  .description('run SQL and print the results')
  .action(async (statements: string) => {
    const { runSql } = await import('./verbs/sql.ts')
    await runSql((await find()).databaseUrl, statements)
  })

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = 1
  console.error(describeFailure(error))
}

function environment(): Environment {
  return withSecretFiles(process.env)
}

function prefix(): string {
  return process.env.CACHE_PREFIX || CACHE_PREFIX
}

function find(): Promise<Discovered> {
  return discover(stateDir, environment())
}

function parseScale(text: string): number {
  const scale = Number(text)
  if (!(scale > 0)) throw new InvalidArgumentError('must be a number above 0')
  return scale
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) {
    throw new InvalidArgumentError('must be a whole number above 0')
  }
  return count
}
