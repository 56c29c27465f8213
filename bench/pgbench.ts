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
}

/** The highest id of the profiles that these writers change. The seed assigns ids without gaps. */
export const LAST_WRITTEN_ID = 150

/** Runs writers that update one watched column of one row per transaction. Returns the transactions per second. */
export async function runPgbench(options: PgbenchOptions): Promise<number> {
  const { pgbench, url, clients, seconds, perS } = options
  const script = join(stateDir, 'bench/update.sql')
  await mkdir(join(stateDir, 'bench'), { recursive: true })
  await writeFile(
    script,
    `\\set id random(1, ${LAST_WRITTEN_ID})
\\set n random(1, 1000000000)
update users_publicstaffprofile set expertise = 'bench ' || :n where id = :id;
`,
  )
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
