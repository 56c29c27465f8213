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
  /** A seeded database with triggers. */
  readonly url: string
  /** Ends it as an operator does. */
  stop(): Promise<void>
  /** Ends it as a failed machine does: what was not written by then is lost. */
  crash(): Promise<void>
  start(): Promise<void>
}

let servers = 0

/** Starts one with a small seed. */
export async function startPrivatePostgres(): Promise<PrivatePostgres> {
  const name = `test-${process.pid}-${++servers}`
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const open = (port?: number) =>
    startPostgres({ stateDir, name, durable: false, say, ...(port !== undefined && { port }) })
  let server: PostgresServer = await open()
  const { port } = server
  await runOn(server.url, 'create database spms')
  const url = server.urlOf('spms')
  await migrate(url)
  await seed(url, { scale: 0.1 })
  await install(url, compileRules(catalog))

  return {
    url,
    stop: () => server.stop(),
    crash: () => server.process.stop('SIGKILL'),
    async start() {
      server = await open(port)
    },
    async [Symbol.asyncDispose]() {
      await server.stop()
      await rm(join(server.dataDir, '..'), { recursive: true, force: true })
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
