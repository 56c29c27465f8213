import { randomBytes } from 'node:crypto'
import { access, chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { findServerUser, type OsUser } from './os-user.ts'
import { findServerFolder } from './server-folder.ts'
import { findFreePort } from './port.ts'
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { run } from './run.ts'
import type { Print } from './print.ts'
import type { Server } from './server.ts'
import { asUser, type ServerProcess, startProcess } from './server-process.ts'

export interface PostgresOptions {
  /** The state folder. It contains the data, unless the user of the server cannot enter it. */
  readonly stateDir: string
  /** The folder of this server's data, inside the state folder. */
  readonly name: string
  /** A free port if undefined. */
  readonly port?: number
  /** If false, a crash of the machine may lose data. For tests only. */
  readonly durable: boolean
  /** Further settings, such as `max_prepared_transactions`. */
  readonly settings?: Readonly<Record<string, string | number>>
  readonly print: Print
}

/** An embedded Postgres that this process started. */
export interface PostgresServer extends Server {
  /** The data folder. */
  readonly dataDir: string
  /** Returns the URL of a database on this server, as superuser. */
  urlOf(database: string): string
}

const START_MS = 60_000

/** Starts an embedded Postgres, and initialises its data folder the first time. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { stateDir, name, durable, print } = options
  const user = await findServerUser()
  const folder = await findServerFolder(stateDir, user, print)
  const binaries = await findPostgresBinaries(folder, user, print)
  const home = join(folder, name)
  const dataDir = join(home, 'data')
  const passwordPath = join(home, 'password')
  await mkdir(home, { recursive: true })
  await chmod(home, 0o755)
  if (!(await exists(dataDir)))
    await initialiseData({ binaries, user, home, dataDir, passwordPath, durable })
  const password = await readFile(passwordPath, 'utf8')

  const logPath = join(stateDir, `${name}.log`)
  const until = Date.now() + START_MS
  for (;;) {
    const port = options.port ?? (await findFreePort())
    const urlOf = (database: string) =>
      `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
    const logged = await readLog(logPath)
    const process = await startProcess({
      command: binaries.postgres,
      args: ['-D', dataDir, ...settingArgs({ ...settingsOf(port, durable), ...options.settings })],
      // A fast shutdown, so that the next start needs no recovery.
      deathSignal: 'INT',
      env: cleanEnv(),
      logPath,
      user,
    })
    if (await answers(process, urlOf('postgres'), until)) {
      return {
        url: urlOf('postgres'),
        urlOf,
        dataDir,
        port,
        process,
        mark: dataDir,
        stop: () => process.stop('SIGINT', 20_000),
      }
    }
    await process.stop('SIGINT')
    // Another process may have taken the port, or an old server may still use the folder.
    const errorLog = (await readLog(logPath)).slice(logged.length).trim()
    if (!/lock file|could not bind|shared memory/.test(errorLog) || Date.now() > until) {
      throw new Error(`Postgres did not start; its log:\n${errorLog}`)
    }
    await sleep(200)
  }
}

interface NewData {
  readonly binaries: PostgresBinaries
  readonly user: OsUser | undefined
  readonly home: string
  readonly dataDir: string
  readonly passwordPath: string
  readonly durable: boolean
}

/** Initialises under another name and renames, so that an interrupted start leaves no partial data. */
async function initialiseData({ binaries, user, home, dataDir, passwordPath, durable }: NewData) {
  const unfinished = join(home, 'unfinished')
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  await writeFile(passwordPath, randomBytes(12).toString('hex'), { mode: 0o600 })
  if (user) {
    await chown(unfinished, user.uid, user.gid)
    await chown(passwordPath, user.uid, user.gid)
  }
  const args = [
    `--pgdata=${unfinished}`,
    '--username=postgres',
    `--pwfile=${passwordPath}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(durable ? [] : ['--no-sync']),
  ]
  await run(...(await asUser(user, binaries.initdb, args)), { cwd: '/', env: cleanEnv() })
  await rename(unfinished, dataDir)
}

const settingsOf = (port: number, durable: boolean) => ({
  listen_addresses: '127.0.0.1',
  port,
  unix_socket_directories: '',
  max_connections: 200,
  shared_buffers: '128MB',
  timezone: 'UTC',
  ...(!durable && { fsync: 'off', full_page_writes: 'off' }),
})

const settingArgs = (settings: Readonly<Record<string, string | number>>) =>
  Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])

/** Returns an environment without PGDATA, PGPORT and the like, with a locale that every machine has. */
const cleanEnv = () => ({ PATH: process.env.PATH, LC_ALL: 'C' })

async function answers(process: ServerProcess, url: string, until: number): Promise<boolean> {
  while (!process.hasEnded() && Date.now() < until) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.end()
      return true
    } catch {
      await sleep(20)
    }
  }
  return false
}

const readLog = (path: string) => readFile(path, 'utf8').catch(() => '')

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
