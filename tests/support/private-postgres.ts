import { rm, writeFile } from 'node:fs/promises'
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
  /** Starts a server on a copy of its files. Stop this server first, except for a base backup. */
  copy(options?: CopyOptions): Promise<CopyablePostgres>
}

export interface CopyOptions {
  /** Whether the copy gets the address of the original instead of a new one. */
  readonly inItsPlace?: boolean
  /** Whether the copy is a standby. It replicates from no server, and can be promoted. */
  readonly standby?: boolean
  /** Whether the copy is a base backup of the running server. */
  readonly baseBackup?: boolean
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
    async copy({ inItsPlace = false, standby = false, baseBackup = false } = {}) {
      const copied = newName()
      const homeOfCopy = join(home, '..', copied)
      // Keeps the owner, which is another user if root runs the tests.
      const copyFiles = () => run('cp', ['-a', home, homeOfCopy])
      if (baseBackup) await backUp(server.url, join(homeOfCopy, 'data'), dataDir, copyFiles)
      else await copyFiles()
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

/** Makes a base backup: `copyFiles` copies the files of the running server. */
async function backUp(
  url: string,
  copied: string,
  original: string,
  copyFiles: () => Promise<unknown>,
): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  // Postgres 14 has other names for these functions.
  const { rows } = await client.query<{ old: boolean }>(
    `select to_regproc('pg_backup_start') is null as old`,
  )
  const isOld = rows[0]?.old === true
  await client.query(
    isOld ? `select pg_start_backup('test', true, false)` : `select pg_backup_start('test', true)`,
  )
  await copyFiles()
  const { rows: stopped } = await client.query<{ label: string }>(
    `select labelfile as label from ${isOld ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)'}`,
  )
  await client.end()
  await run('cp', ['-a', join(original, 'pg_wal'), copied])
  // A file with the owner of the others.
  await run('cp', ['-a', join(copied, 'PG_VERSION'), join(copied, 'backup_label')])
  await writeFile(join(copied, 'backup_label'), stopped[0]?.label ?? '')
  await rm(join(copied, 'postmaster.pid'))
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}
