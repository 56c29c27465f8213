import { errorCode } from '../../../db/event-log/index.ts'
import { chmod, chown, cp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stateDir } from '../../../scripts/paths.ts'
import { startPostgres } from '../../../scripts/servers/postgres.ts'
import type { PrivatePostgres } from '../../support/private-postgres.ts'
import { connect, onPostgres } from './on-postgres.ts'

/** A standby that replicates from a primary until it is promoted. */
export interface Standby extends PrivatePostgres {
  /** Waits until it has replayed the WAL that the primary had at the time of the call. */
  catchUp(): Promise<void>
  /** Promotes it with the data that it has received. */
  promote(): Promise<void>
}

let standbys = 0

/** Copies a running primary, as `pg_basebackup` does, and replicates through another address. */
export async function startStandby(
  primary: PrivatePostgres,
  settings: Readonly<Record<string, string | number>>,
  through: string,
): Promise<Standby> {
  const name = `test-${process.pid}-standby-${++standbys}`
  const home = join(dirname(primary.home), name)
  await copyData(primary, home)

  const { hostname, port, username, password } = new URL(through)
  const common = {
    stateDir,
    name,
    durable: false,
    print: (line: string) => void process.stderr.write(`${line}\n`),
    settings: {
      ...settings,
      primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password}`,
    },
  }
  let server = await startPostgres(common)
  const { port: ownPort } = server
  const url = server.urlOf('spms')

  return {
    url,
    home,
    async catchUp() {
      const [{ at }] = await ask<{ at: string }>(primary.url, 'select pg_current_wal_lsn() as at')
      const replayed = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as is_there'
      while (!(await ask<{ is_there: boolean }>(url, replayed, [at]))[0].is_there) await sleep(20)
    },
    async promote() {
      await ask(url, 'select pg_promote(true, 60)')
    },
    stop: () => server.stop(),
    crash: () => server.process.stop('SIGKILL'),
    async start() {
      server = await startPostgres({ ...common, port: ownPort })
    },
    async [Symbol.asyncDispose]() {
      await server.stop()
      await rm(home, { recursive: true, force: true })
      await rm(join(stateDir, `${basename(home)}.log`), { force: true })
    },
  }
}

async function copyData(primary: PrivatePostgres, home: string): Promise<void> {
  const client = await connect(primary.url)
  await client.query(`select pg_backup_start('checker', true)`)
  const data = join(home, 'data')
  const { uid, gid } = await stat(join(primary.home, 'data'))
  await copyLiving(primary.home, home)
  const { rows } = await client.query<{ labelfile: string }>(
    'select labelfile from pg_backup_stop(false)',
  )
  await client.end()
  await writeFile(join(data, 'backup_label'), rows[0]?.labelfile ?? '')
  await writeFile(join(data, 'standby.signal'), '')
  await rm(join(data, 'postmaster.pid'), { force: true })
  // Copied WAL segments may be torn. The primary sends the required ones again.
  for (const file of await readdir(join(data, 'pg_wal'))) {
    if (/^[0-9A-F]{24}/.test(file)) await rm(join(data, 'pg_wal', file))
  }
  await chmod(data, 0o700)
  await giveTo(home, uid, gid)
}

/** Copies a data directory in use. Repeats if a file disappears; WAL replay repairs the rest. */
async function copyLiving(from: string, to: string): Promise<void> {
  for (;;) {
    try {
      return await cp(from, to, { recursive: true, preserveTimestamps: true })
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
  }
}

async function giveTo(folder: string, uid: number, gid: number): Promise<void> {
  await chown(folder, uid, gid)
  for (const entry of await readdir(folder, { recursive: true })) {
    await chown(join(folder, entry), uid, gid)
  }
}

const ask = <T extends object>(
  url: string,
  text: string,
  values?: unknown[],
): Promise<[T, ...T[]]> =>
  onPostgres(url, async (client) => (await client.query<T>(text, values)).rows as [T, ...T[]])
