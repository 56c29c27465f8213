import { Command, InvalidArgumentError } from 'commander'
import { CACHE_PREFIX, type Environment } from '../shared/config.ts'
import { withSecretFiles } from '../shared/secret-files.ts'
import { ignoreClosedPipe } from './closed-pipe.ts'
import { describeFailure } from './describe-failure.ts'
import { stateDir } from './paths.ts'
import { type Discovered, discover } from './servers/discover.ts'

ignoreClosedPipe()

const program = new Command('spms')
  .description('Works on DATABASE_URL, or on the servers of the `npm start` that runs here.')
  .showHelpAfterError()

program
  .command('migrate')
  .description('build a fresh database, or bring one that was built so up to date')
  .action(async () => {
    const { runMigrate } = await import('./verbs/migrate.ts')
    await runMigrate((await find()).databaseUrl)
  })

program
  .command('install')
  .description('add the schema `invalidation` and its triggers to an SPMS database')
  .option('--print', 'write the SQL for a DBA, and run nothing')
  .action(async ({ print }: { readonly print?: true }) => {
    const { runInstall } = await import('./verbs/install.ts')
    await runInstall((await find()).databaseUrl, { print: print ?? false })
  })

program
  .command('grant')
  .description('give the roles of the services the rights that they need; run it as the owner')
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
  .description('stop watching what only other builds of this program want')
  .action(async () => {
    const { runRetire } = await import('./verbs/retire.ts')
    await runRetire((await find()).databaseUrl)
  })

program
  .command('empty-log')
  .description('empty the event log, where no invalidator runs that does')
  .action(async () => {
    const { runEmptyLog } = await import('./verbs/empty-log.ts')
    await runEmptyLog((await find()).databaseUrl)
  })

program
  .command('status')
  .description('say what is installed, drift, backlog, lag and the age of the watermarks')
  .action(async () => {
    const { runStatus } = await import('./verbs/status.ts')
    await runStatus(await find(), prefix())
  })

program
  .command('doctor')
  .description('examine the live servers, and say what is wrong, why it matters and what to do')
  .action(async () => {
    const { runDoctor } = await import('./verbs/doctor.ts')
    if (!(await runDoctor(await find(), environment()))) process.exitCode = 1
  })

program
  .command('verify')
  .description('compare what is cached with Postgres, and forget what is wrong')
  .option('--sample <n>', 'so many entries at random, instead of all', parseCount)
  .option('--watch', 'go on: 1, 10 and 60 s after each change; metrics on METRICS_PORT')
  .action(async ({ sample, watch = false }: { sample?: number; watch?: boolean }) => {
    const { runVerify } = await import('./verbs/verify.ts')
    const options = { watch, ...(sample !== undefined && { sample }) }
    if (!(await runVerify(await find(), environment(), options))) process.exitCode = 1
  })

program
  .command('explain <key-or-url>')
  .description('say whether it is cached, since when, and what would make it stale')
  .option('--as <user-id>', 'ask for a URL as this user')
  .action(async (what: string, { as }: { readonly as?: string }) => {
    const { runExplain } = await import('./verbs/explain.ts')
    await runExplain(await find(), environment(), what, as)
  })

program
  .command('tail')
  .description('print changes as they are committed, and the entries that each invalidates')
  .action(async () => {
    const { runTail } = await import('./verbs/tail.ts')
    const stop = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGPIPE'] as const) {
      process.once(signal, () => stop.abort())
    }
    await runTail((await find()).databaseUrl, prefix(), stop.signal)
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
  .description('fill a fresh database with example data, the same every time')
  .option('--scale <n>', 'how many times the usual size', parseScale)
  .action(async ({ scale }: { readonly scale?: number }) => {
    const { runSeed } = await import('./verbs/seed.ts')
    await runSeed((await find()).databaseUrl, scale)
  })

program
  .command('sql <statements>')
  .description('run SQL and print what it answers')
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
