import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** A running `npm start`, as in a terminal. */
export interface NpmStart {
  /** Returns its output so far, stdout and stderr. */
  output(): string
  /** Waits until it has printed this text. Rejects if it ends before. */
  untilPrinted(text: string): Promise<void>
  /** Resolves with its exit code; `null` if a signal ended it. */
  readonly ended: Promise<number | null>
  /** Sends SIGINT to npm and its process group, like Ctrl-C. */
  interrupt(): void
  /** Returns the ids of npm and of all its descendants that are alive. */
  processes(): Promise<number[]>
}

/** Runs `npm start` in a folder, with the plain environment and these variables. */
export function npmStart(dir: string, env: NodeJS.ProcessEnv = {}): NpmStart {
  const child = spawn('npm', ['start'], {
    cwd: dir,
    env: { ...plainEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let hasEnded = false
  void ended.then(() => (hasEnded = true))
  const pid = child.pid ?? 0
  return {
    output: () => output,
    async untilPrinted(text) {
      while (!output.includes(text)) {
        if (hasEnded) throw new Error(`npm start ended without printing '${text}':\n${output}`)
        await sleep(20)
      }
    },
    ended,
    interrupt() {
      if (!hasEnded) process.kill(-pid, 'SIGINT')
    },
    processes: () => findDescendants(pid),
  }
}

/** Returns the environment without variables that npm, mocha or a developer's shell set. */
export function plainEnv(): NodeJS.ProcessEnv {
  const foreign =
    /^(npm_|MOCHA|TEST_|NODE_OPTIONS$|DATABASE_URL$|REDIS_URL$|PORT$|SESSION_SECRETS$)/
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name))
  return Object.fromEntries(kept)
}

/** Whether a process is alive. Linux only. A zombie counts as dead. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await readProcess(pid)) !== undefined
}

async function findDescendants(pid: number): Promise<number[]> {
  const names = await readdir('/proc')
  const all = await Promise.all(
    names
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .map(readProcess),
  )
  const alive = all.filter((it) => it !== undefined)
  const found = [pid]
  // The array grows while it is iterated.
  for (const parent of found) {
    found.push(...alive.filter((it) => it.parent === parent).map((it) => it.pid))
  }
  return found
}

async function readProcess(pid: number) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name in brackets may contain spaces. State and parent follow it.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' || state === 'Z' ? undefined : { pid, parent: Number(parent) }
}
