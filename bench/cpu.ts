import { readdir, readFile } from 'node:fs/promises'

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

/** Reads the scheduler's statistics of a process (Linux only). */
export async function readCpu(pid: number): Promise<CpuReading> {
  const folder = `/proc/${pid}/task`
  const tids = await readdir(folder)
  const lines = await Promise.all(
    tids.map((tid) => readFile(`${folder}/${tid}/schedstat`, 'utf8').catch(() => '0 0')),
  )
  const threads = lines.map((line, i): [string, Thread] => {
    const [ran = 0, waited = 0] = line.split(' ').map((ns) => Number(ns) / 1e6)
    return [tids[i] as string, { ranMs: ran, waitedMs: waited }]
  })
  return { atMs: performance.now(), threads: new Map(threads) }
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
