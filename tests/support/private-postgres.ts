import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { install } from '../../db/event-log/install.ts'
import { migrate } from '../../db/migrate.ts'
import { stateDir } from '../../scripts/paths.ts'
import { seed } from '../../scripts/seed/seed.ts'
import { type PostgresServer, startPostgres } from '../../scripts/servers/postgres.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'

/** A Postgres of one test's own, which it may stop, crash and start again at the same address. */
export interface PrivatePostgres extends AsyncDisposable {
  /** A database with triggers. */
  readonly url: string
  /** Where its data and its password stand. */
  readonly home: string
  /** Ends it as an operator does. */
  stop(): Promise<void>
  /** Ends it as a failed machine does: what was not written by then is lost. */
  crash(): Promise<void>
  start(): Promise<void>
}

export interface PrivatePostgresOptions {
  /** Further settings of the server. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** By default with a small seed. */
  readonly seeded?: boolean
}

let servers = 0

/** Starts one. */
export async function startPrivatePostgres({
  settings = {},
  seeded = true,
}: PrivatePostgresOptions = {}): Promise<PrivatePostgres> {
  const name = `test-${process.pid}-${++servers}`
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const common = { stateDir, name, durable: false, settings, say }
  const open = (port?: number) => startPostgres({ ...common, ...(port !== undefined && { port }) })
  let server: PostgresServer = await open()
  const { port } = server
  await runOn(server.url, 'create database spms')
  const url = server.urlOf('spms')
  await migrate(url)
  if (seeded) await seed(url, { scale: 0.1 })
  await install(url, compileRules(catalog))

  const home = join(server.dataDir, '..')
  return {
    url,
    home,
    stop: () => server.stop(),
    crash: () => server.process.stop('SIGKILL'),
    async start() {
      server = await open(port)
    },
    async [Symbol.asyncDispose]() {
      await server.stop()
      await rm(home, { recursive: true, force: true })
      await rm(join(stateDir, `${name}.log`), { force: true })
    },
  }
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}
