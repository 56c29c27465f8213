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
  /** The state folder; the data stands in it, or outside where its user cannot enter. */
  readonly stateDir: string
  /** The folder of this server's data, inside the state folder. */
  readonly name: string
  /** A free one when it is not given. */
  readonly port?: number
  /** False: a crash of the machine may lose the data. For tests only. */
  readonly durable: boolean
  /** Further settings, such as `max_prepared_transactions`. */
  readonly settings?: Readonly<Record<string, string | number>>
  readonly print: Print
}

/** An embedded Postgres that was started here. */
export interface PostgresServer extends Server {
  /** Where the data stands. */
  readonly dataDir: string
  /** The address of a database on it, as superuser. */
  urlOf(database: string): string
}

const START_MS = 60_000

/** Starts an embedded Postgres on a free port, with its data made the first time. */
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
    await makeData({ binaries, user, home, dataDir, passwordPath, durable })
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
      // Fast, not immediate: the next start need not recover.
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
    // A port may be taken in between, and an old server may take a moment to let the folder go.
    const complaint = (await readLog(logPath)).slice(logged.length).trim()
    if (!/lock file|could not bind|shared memory/.test(complaint) || Date.now() > until) {
      throw new Error(`Postgres did not start:\n${complaint}`)
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

/** Made under another name and then renamed: a start that was ended here begins again. */
async function makeData({ binaries, user, home, dataDir, passwordPath, durable }: NewData) {
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

/** Without PGDATA, PGPORT and their like, and with a locale that every machine has. */
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
