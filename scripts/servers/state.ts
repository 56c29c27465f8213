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

/** State of a running `npm start`. Other commands find its servers here, and the next start its leftovers. */
export type State = Readonly<z.output<typeof stateSchema>>

/** Returns the state of a server. */
export const describeServer = ({ process, mark, container }: Server): State['servers'][number] => ({
  pid: process.pid,
  mark,
  container,
})

/** Replaces the state file atomically. Only its owner may read it, because it contains a password. */
export async function writeState(stateDir: string, state: State): Promise<void> {
  const fresh = `${pathIn(stateDir)}.${process.pid}`
  await writeFile(fresh, JSON.stringify(state, null, 2), { mode: 0o600 })
  await rename(fresh, pathIn(stateDir))
}

export async function removeState(stateDir: string): Promise<void> {
  await rm(pathIn(stateDir), { force: true })
}

/** Returns the state of the running `npm start`, or of one that was killed and left its state file. */
export async function readState(
  stateDir: string,
): Promise<(State & { readonly running: boolean }) | undefined> {
  const text = await readFile(pathIn(stateDir), 'utf8').catch(() => 'null')
  const state = stateSchema.nullable().parse(JSON.parse(text))
  if (!state) return undefined
  const commandLine = await readCommandLine(state.starterPid)
  return { ...state, running: commandLine.includes('scripts/start.') }
}

/** Ends the servers of an `npm start` that was killed. Ignores pids that other processes now use. */
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

/** Returns the path of the secret with which `npm start` signs sessions. */
export const secretPath = (stateDir: string): string => join(stateDir, 'session-secret')
