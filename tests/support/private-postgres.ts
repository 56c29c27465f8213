import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { install } from '../../db/event-log/index.ts'
import { migrate } from '../../db/migrate.ts'
import { stateDir } from '../../scripts/paths.ts'
import { seed } from '../../scripts/seed/seed.ts'
import { type PostgresServer, startPostgres } from '../../scripts/servers/postgres.ts'
import { run } from '../../scripts/servers/run.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'

/** A private Postgres server that a test can stop, crash and restart at the same address. */
export interface PrivatePostgres extends AsyncDisposable {
  /** URL of a database with triggers. */
  readonly url: string
  /** Folder of its data and its password. */
  readonly home: string
  /** Stops it with a regular shutdown. */
  stop(): Promise<void>
  /** Stops it with SIGKILL. Unwritten data is lost. */
  crash(): Promise<void>
  start(): Promise<void>
}

export interface CopyablePostgres extends PrivatePostgres {
  /** Starts a server on a copy of its files. Stop this server first. */
  copy(options?: CopyOptions): Promise<CopyablePostgres>
}

export interface CopyOptions {
  /** Whether the copy gets the address of the original instead of a new one. */
  readonly inItsPlace?: boolean
  /** Whether the copy is a standby. It replicates from no server, and can be promoted. */
  readonly standby?: boolean
}

export interface PrivatePostgresOptions {
  /** Additional settings of the server. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Whether to insert a small seed; by default true. */
  readonly seeded?: boolean
  /** Installs the triggers; by default as a superuser. */
  readonly install?: (url: string) => Promise<unknown>
}

let servers = 0
const newName = () => `test-${process.pid}-${++servers}`

/** Starts a private Postgres server. */
export async function startPrivatePostgres({
  settings = {},
  seeded = true,
  install: installTriggers = (url) => install(url, compileRules(catalog)),
}: PrivatePostgresOptions = {}): Promise<CopyablePostgres> {
  const print = (line: string) => void process.stderr.write(`${line}\n`)
  const open: Open = (name, port) =>
    startPostgres({
      ...{ stateDir, name, durable: false, settings, print },
      ...(port !== undefined && { port }),
    })
  const name = newName()
  const server = await open(name)
  await runOn(server.url, 'create database spms')
  const url = server.urlOf('spms')
  await migrate(url)
  if (seeded) await seed(url, { scale: 0.1 })
  await installTriggers(url)
  return control(open, name, server)
}

type Open = (name: string, port?: number) => Promise<PostgresServer>

function control(open: Open, name: string, started: PostgresServer): CopyablePostgres {
  const { port, dataDir } = started
  const home = join(dataDir, '..')
  let server = started
  return {
    url: server.urlOf('spms'),
    home,
    stop: () => server.stop(),
    crash: () => server.process.stop('SIGKILL'),
    async start() {
      server = await open(name, port)
    },
    async copy({ inItsPlace = false, standby = false } = {}) {
      const copied = newName()
      const homeOfCopy = join(home, '..', copied)
      // Keeps the owner, which is another user if root runs the tests.
      await run('cp', ['-a', home, homeOfCopy])
      if (standby) {
        const data = join(homeOfCopy, 'data')
        await run('cp', ['-a', join(data, 'PG_VERSION'), join(data, 'standby.signal')])
      }
      return control(open, copied, await open(copied, inItsPlace ? port : undefined))
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
