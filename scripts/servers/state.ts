import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { readCommandLine } from './process-table.ts'
import { succeeds } from './run.ts'
import type { Server } from './server.ts'

const stateSchema = z.object({
  starterPid: z.int(),
  databaseUrl: z.string().optional(),
  redisUrl: z.string().optional(),
  servers: z.array(
    z.object({ pid: z.int(), mark: z.string().min(1), container: z.string().optional() }),
  ),
})

/** What `npm start` has running: how others find it, and how the next start finds what it left. */
export type State = Readonly<z.output<typeof stateSchema>>

/** How a server is written down. */
export const describeServer = ({ process, mark, container }: Server): State['servers'][number] => ({
  pid: process.pid,
  mark,
  container,
})

/** Writes the state in one step, for its owner only: it holds a password. */
export async function writeState(stateDir: string, state: State): Promise<void> {
  const fresh = `${pathIn(stateDir)}.${process.pid}`
  await writeFile(fresh, JSON.stringify(state, null, 2), { mode: 0o600 })
  await rename(fresh, pathIn(stateDir))
}

export async function removeState(stateDir: string): Promise<void> {
  await rm(pathIn(stateDir), { force: true })
}

/** The state of the start that runs now, or of one that was ended before it could tidy up. */
export async function readState(
  stateDir: string,
): Promise<(State & { readonly running: boolean }) | undefined> {
  const text = await readFile(pathIn(stateDir), 'utf8').catch(() => 'null')
  const state = stateSchema.nullable().parse(JSON.parse(text))
  if (!state) return undefined
  const commandLine = await readCommandLine(state.starterPid)
  return { ...state, running: commandLine.includes('scripts/start.') }
}

/** Ends the servers of a start that is gone. A process that is not ours any more is left alone. */
export async function endLeftovers(stateDir: string): Promise<void> {
  const state = await readState(stateDir)
  for (const { pid, mark, container } of state?.servers ?? []) {
    if (container !== undefined) await succeeds('docker', ['rm', '--force', container])
    const isOurs = async () => (await readCommandLine(pid)).includes(mark)
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      if (!(await isOurs())) break
      process.kill(pid, signal)
      const until = Date.now() + END_MS
      while ((await isOurs()) && Date.now() < until) await sleep(50)
    }
  }
  await removeState(stateDir)
}

const END_MS = 10_000

const pathIn = (stateDir: string) => join(stateDir, 'state.json')

/** Where `npm start` keeps what it signs sessions with. */
export const secretPath = (stateDir: string): string => join(stateDir, 'session-secret')
