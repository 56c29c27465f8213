import { readFile } from 'node:fs/promises'
import { run, succeeds } from '../scripts/servers/run.ts'

/** Lists of cores, as taskset reads them. */
export interface Cores {
  /** Of the process that is measured, alone. */
  readonly measured: string
  /** Of its servers and its clients. */
  readonly others: string
  readonly all: string
}

/** How the cores are shared out; `null` where there is only one, or no way to choose. */
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

/** Keeps a running process, and what it starts from now on, on these cores. */
export async function pin(pid: number, cores: string): Promise<void> {
  await run('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`])
}
