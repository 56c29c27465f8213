import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { OsUser } from './os-user.ts'
import { findProgram } from './path-search.ts'
import { succeeds } from './run.ts'

/** How a server is run. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  /** Sent by the kernel when the process that started it dies, however it dies (Linux only). */
  readonly deathSignal: 'INT' | 'TERM' | 'KILL'
  readonly env: NodeJS.ProcessEnv
  readonly logPath: string
  readonly user?: OsUser | undefined
}

/** A server that was started here. */
export interface ServerProcess {
  readonly pid: number
  /** Resolves when the process has ended, and never rejects. */
  readonly ended: Promise<void>
  hasEnded(): boolean
  signal(signal: NodeJS.Signals): void
  /** Asks it to end, waits, and ends it by force after `graceMs`. */
  stop(signal: NodeJS.Signals, graceMs?: number): Promise<void>
}

/**
 * Starts a server in a session of its own, so that a Ctrl-C reaches only its starter, which stops
 * what it started in order. It does not keep its starter alive.
 */
export async function startProcess(launch: Launch): Promise<ServerProcess> {
  const log = openSync(launch.logPath, 'a', 0o600)
  const setpriv = await findSetpriv()
  const [command, args] = setpriv ? withDeathSignal(setpriv, launch) : plain(launch)
  const child = spawn(command, args, {
    // A folder that every user may enter.
    cwd: '/',
    env: launch.env,
    stdio: ['ignore', log, log],
    detached: true,
    ...(launch.user && !setpriv && { uid: launch.user.uid, gid: launch.user.gid }),
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} did not start`)
  child.unref()

  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  return {
    pid,
    ended,
    hasEnded,
    signal: (signal) => void child.kill(signal),
    async stop(signal, graceMs = 10_000) {
      if (hasEnded()) return
      child.kill(signal)
      const force = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await ended
      clearTimeout(force)
    },
  }
}

/** Runs a command to its end as another user: the words to hand to `run`. */
export async function asUser(
  user: OsUser | undefined,
  command: string,
  args: readonly string[],
): Promise<[string, string[]]> {
  if (!user) return [command, [...args]]
  const setpriv = await findSetpriv()
  if (setpriv) return [setpriv, [...become(user), command, ...args]]
  return ['su', [user.name, '-s', '/bin/sh', '-c', 'exec "$0" "$@"', '--', command, ...args]]
}

function withDeathSignal(setpriv: string, launch: Launch): [string, string[]] {
  const { command, args, deathSignal, user } = launch
  return [setpriv, [...(user ? become(user) : []), '--pdeathsig', deathSignal, command, ...args]]
}

const plain = ({ command, args }: Launch): [string, string[]] => [command, [...args]]

const become = ({ uid, gid }: OsUser) => [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups']

let lookedFor: Promise<string | undefined> | undefined

/** The full path of a setpriv that knows death signals, for launches whose PATH is another. */
const findSetpriv = () => (lookedFor ??= lookForSetpriv())

async function lookForSetpriv(): Promise<string | undefined> {
  const found = findProgram(['setpriv'], process.env.PATH)
  return found && (await succeeds(found, ['--pdeathsig', 'TERM', 'true'])) ? found : undefined
}
