import { readdir } from 'node:fs/promises'
import { readProcFile } from '../scripts/servers/proc-file.ts'

/** Duration of a tick in /proc/<pid>/stat. */
const TICK_MS = 10

/** Returns the CPU milliseconds of a process and all its children, including those that ended (Linux only). */
export async function treeCpuMs(pid: number): Promise<number> {
  for (;;) {
    const before = await readOwn(pid)
    let ticks = before.ticks + before.endedChildrenTicks
    for (const name of await readdir('/proc')) {
      const stat = /^\d+$/.test(name) ? await readStat(Number(name)) : null
      if (stat?.parent === pid) ticks += stat.ticks
    }
    // A child that ended meanwhile may be missing, or counted twice.
    const after = await readOwn(pid)
    if (after.endedChildrenTicks === before.endedChildrenTicks) return ticks * TICK_MS
  }
}

async function readOwn(pid: number) {
  const stat = await readStat(pid)
  if (!stat) throw new Error(`process ${pid} does not exist`)
  return stat
}

/** Returns the resident memory of a process in bytes (Linux only). @throws Error if it has ended. */
export const residentBytes = (pid: number): Promise<number> => readBytes(pid, 'VmRSS')

/** Returns the peak resident memory of a process in bytes (Linux only). @throws Error if it has ended. */
export const peakBytes = (pid: number): Promise<number> => readBytes(pid, 'VmHWM')

async function readBytes(pid: number, line: string): Promise<number> {
  const status = await readProcFile(`/proc/${pid}/status`)
  if (status === null) throw new Error(`process ${pid} ended before its memory was read`)
  return 1024 * Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
}

async function readStat(pid: number) {
  const text = await readProcFile(`/proc/${pid}/stat`)
  if (text === null) return null
  // The process name, in parentheses, may contain spaces.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const [parent = 0, user = 0, system = 0, endedUser = 0, endedSystem = 0] = [
    1, 11, 12, 13, 14,
  ].map((at) => fields[at])
  return { parent, ticks: user + system, endedChildrenTicks: endedUser + endedSystem }
}
