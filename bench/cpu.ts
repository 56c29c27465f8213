import { listProcFolder, readProcFile } from '../scripts/servers/proc-file.ts'

/** CPU times of the threads of a process, at one moment. */
export interface CpuReading {
  readonly atMs: number
  readonly threads: ReadonlyMap<string, Thread>
}

interface Thread {
  readonly ranMs: number
  /** Time in which the thread was ready to run and waited for a core. */
  readonly waitedMs: number
}

/** CPU use of a process between two readings. */
export interface CpuUse {
  /** CPU milliseconds of all its threads. */
  readonly ranMs: number
  readonly overMs: number
  /**
   * Share of the time in which the busiest thread ran or waited for a core. On a shared machine, it
   * distinguishes a saturated process from an idle one.
   */
  readonly busy: number
}

/** Reads the scheduler's statistics of a process (Linux only). Returns null if it has ended. */
export async function readCpu(pid: number): Promise<CpuReading | null> {
  const folder = `/proc/${pid}/task`
  const tids = await listProcFolder(folder)
  if (tids === null) return null
  const threads = await Promise.all(
    tids.map(async (tid): Promise<[string, Thread][]> => {
      const line = await readProcFile(`${folder}/${tid}/schedstat`)
      if (line === null) return []
      const [ran = 0, waited = 0] = line.split(' ').map((ns) => Number(ns) / 1e6)
      return [[tid, { ranMs: ran, waitedMs: waited }]]
    }),
  )
  const known = new Map(threads.flat())
  // All threads ended after they were listed.
  return known.size === 0 ? null : { atMs: performance.now(), threads: known }
}

/** Returns the CPU use between two readings. Threads that started or ended in between do not count. */
export function cpuBetween(before: CpuReading, after: CpuReading): CpuUse {
  const overMs = after.atMs - before.atMs
  const spent = [...before.threads].flatMap(([tid, was]) => {
    const is = after.threads.get(tid)
    return is ? [{ ranMs: is.ranMs - was.ranMs, waitedMs: is.waitedMs - was.waitedMs }] : []
  })
  const busiest = Math.max(0, ...spent.map(({ ranMs, waitedMs }) => ranMs + waitedMs))
  return {
    ranMs: spent.reduce((sum, { ranMs }) => sum + ranMs, 0),
    overMs,
    busy: busiest / overMs,
  }
}
