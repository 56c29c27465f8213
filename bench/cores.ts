import { readFile } from 'node:fs/promises'
import { run, succeeds } from '../scripts/servers/run.ts'

/** Lists of cores in the format of taskset. */
export interface Cores {
  /** The core of the measured process. No other process uses it. */
  readonly measured: string
  /** The cores of its servers and clients. */
  readonly others: string
  readonly all: string
}

/** Returns how the cores are assigned; null if there is only one, or if taskset is missing. */
export async function shareOutCores(): Promise<Cores | null> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const all = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1]
  const [measured, ...others] = (all?.split(',') ?? []).flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?]
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
  if (all === undefined || measured === undefined || others.length === 0) return null
  if (!(await succeeds('taskset', ['--version']))) return null
  return { measured: `${measured}`, others: others.join(','), all }
}

/** taskset fails if a thread ends after it has listed the threads. */
const PIN_ATTEMPTS = 5

/** Pins a running process and its future children to these cores. */
export async function pin(pid: number, cores: string): Promise<void> {
  const words = ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`]
  for (let attempt = 1; attempt < PIN_ATTEMPTS; attempt++) {
    if (await succeeds('taskset', words)) return
  }
  await run('taskset', words)
}
