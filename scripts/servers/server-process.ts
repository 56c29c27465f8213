import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { OsUser } from './os-user.ts'
import { findProgram } from './path-search.ts'
import { succeeds } from './run.ts'

/** How to start a server. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  /** The signal that the kernel sends to the server when its starter dies for any reason (Linux only). */
  readonly deathSignal: 'INT' | 'TERM' | 'KILL'
  readonly env: NodeJS.ProcessEnv
  readonly logPath: string
  readonly user?: OsUser | undefined
}

/** The process of a server that this process started. */
export interface ServerProcess {
  readonly pid: number
  /** Resolves when the process has ended, and never rejects. */
  readonly ended: Promise<void>
  hasEnded(): boolean
  signal(signal: NodeJS.Signals): void
  /** Sends the signal, waits for the exit, and sends SIGKILL after `graceMs`. */
  stop(signal: NodeJS.Signals, graceMs?: number): Promise<void>
}

/**
 * Starts a server in its own session, so that a Ctrl-C reaches only the starter, which then stops its
 * servers in order. The server does not keep the starter's event loop alive.
 */
export async function startProcess(launch: Launch): Promise<ServerProcess> {
  const log = openSync(launch.logPath, 'a', 0o600)
  const setpriv = await findSetpriv()
  const [command, args] = setpriv ? withDeathSignal(setpriv, launch) : plain(launch)
  const child = spawn(command, args, {
    // Every user may enter this folder.
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

/** Returns the arguments of `run` that run a command as another user. */
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

let setprivPath: Promise<string | undefined> | undefined

/** Returns the full path of a setpriv with support for death signals. Servers may run with another PATH. */
const findSetpriv = () => (setprivPath ??= lookForSetpriv())

async function lookForSetpriv(): Promise<string | undefined> {
  const found = findProgram(['setpriv'], process.env.PATH)
  return found && (await succeeds(found, ['--pdeathsig', 'TERM', 'true'])) ? found : undefined
}
