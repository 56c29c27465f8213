import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** An `npm start`, as a person at a terminal has it. */
export interface NpmStart {
  /** All that it has printed. */
  output(): string
  /** Waits until it has printed this. Rejects when it ends without. */
  untilPrinted(text: string): Promise<void>
  /** Resolves with its exit code; `null` when a signal ended it. */
  readonly ended: Promise<number | null>
  /** Presses Ctrl-C, which reaches npm and everything in its group. */
  interrupt(): void
  /** Whatever it has started and is alive, itself included. */
  processes(): Promise<number[]>
}

/** Runs `npm start` in a folder with this environment on top of a plain one. */
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
        if (hasEnded) throw new Error(`npm start ended without saying '${text}':\n${output}`)
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

/** The environment without what npm, mocha or a developer's shell put there. */
export function plainEnv(): NodeJS.ProcessEnv {
  const foreign =
    /^(npm_|MOCHA|TEST_|NODE_OPTIONS$|DATABASE_URL$|REDIS_URL$|PORT$|SESSION_SECRETS$)/
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name))
  return Object.fromEntries(kept)
}

/** Linux only. A zombie is dead: it only waits for somebody to ask how it died. */
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
  // Grows while it is walked.
  for (const parent of found) {
    found.push(...alive.filter((it) => it.parent === parent).map((it) => it.pid))
  }
  return found
}

async function readProcess(pid: number) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name in brackets may hold spaces; state and parent follow it.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' || state === 'Z' ? undefined : { pid, parent: Number(parent) }
}
