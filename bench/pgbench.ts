import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stateDir } from '../scripts/paths.ts'
import type { PackagedProgram } from '../scripts/servers/packaged-program.ts'
import { run } from '../scripts/servers/run.ts'

export interface PgbenchOptions {
  readonly pgbench: PackagedProgram
  readonly url: string
  readonly clients: number
  readonly seconds: number
  /** Transactions a second over all clients; unlimited if undefined. */
  readonly perS?: number
  /** Updates in each transaction; by default one. */
  readonly changes?: number
}

/** The highest id of the profiles that these writers change. The seed assigns ids without gaps. */
export const LAST_WRITTEN_ID = 150

/** Runs writers that update one watched column of one row, once per transaction by default. Returns the transactions per second. */
export async function runPgbench(options: PgbenchOptions): Promise<number> {
  const { pgbench, url, clients, seconds, perS, changes = 1 } = options
  // Ascending ids within a transaction, so that no two of them deadlock.
  const share = LAST_WRITTEN_ID / changes
  const updates = Array.from(
    { length: changes },
    (_, at) => `\\set id random(${Math.floor(at * share) + 1}, ${Math.floor((at + 1) * share)})
\\set n random(1, 1000000000)
update users_publicstaffprofile set expertise = 'bench ' || :n where id = :id;
`,
  ).join('')
  const script = join(stateDir, 'bench/update.sql')
  await mkdir(join(stateDir, 'bench'), { recursive: true })
  await writeFile(script, changes === 1 ? updates : `begin;\n${updates}commit;\n`)
  const output = await run(
    pgbench.command,
    [
      ...['--no-vacuum', '--protocol', 'prepared', '--file', script],
      ...['--client', `${clients}`, '--jobs', '1', '--time', `${seconds}`],
      ...(perS === undefined ? [] : ['--rate', `${Math.round(perS)}`]),
      url,
    ],
    { env: { ...process.env, ...pgbench.env } },
  )
  const tps = Number(/^tps = ([\d.]+)/m.exec(output)?.[1])
  if (!(tps > 0)) throw new Error(`the output of pgbench contains no TPS:\n${output}`)
  return tps
}
