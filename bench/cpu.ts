import { readdir, readFile } from 'node:fs/promises'

/** What each thread of a process has had of the processors, at one moment. */
export interface CpuReading {
  readonly atMs: number
  readonly threads: ReadonlyMap<string, Thread>
}

interface Thread {
  readonly ranMs: number
  /** Ready to run, and waiting for a core. */
  readonly waitedMs: number
}

/** How a process spent the time between two readings. */
export interface CpuUse {
  /** Milliseconds of processor in all its threads. */
  readonly ranMs: number
  readonly overMs: number
  /**
   * The share of the time in which its busiest thread ran or waited for a core. On a machine that
   * others use too, this tells a process that has no more to give from one that has nothing to do.
   */
  readonly busy: number
}

/** Reads the scheduler's account of a process (Linux only). */
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

/** What happened between two readings. Threads that came or went in between do not count. */
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
