import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { install } from '../../db/event-log/install.ts'
import { migrate } from '../../db/migrate.ts'
import { stateDir } from '../../scripts/paths.ts'
import { seed } from '../../scripts/seed/seed.ts'
import { type PostgresServer, startPostgres } from '../../scripts/servers/postgres.ts'
import { run } from '../../scripts/servers/run.ts'
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

export interface CopyablePostgres extends PrivatePostgres {
  /** Starts a server on a copy of its files, which must not change meanwhile: stop it first. */
  copy(options?: CopyOptions): Promise<CopyablePostgres>
}

export interface CopyOptions {
  /** At the address of the one that was copied, instead of one of its own. */
  readonly inItsPlace?: boolean
  /** As a standby to which nothing comes any more; it can be promoted. */
  readonly standby?: boolean
}

export interface PrivatePostgresOptions {
  /** Further settings of the server. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** By default with a small seed. */
  readonly seeded?: boolean
  /** Installs the triggers; by default a superuser does. */
  readonly install?: (url: string) => Promise<unknown>
}

let servers = 0
const newName = () => `test-${process.pid}-${++servers}`

/** Starts one. */
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
      // With their owner, who is not always the one that runs the tests.
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
