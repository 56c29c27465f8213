import { readCpu } from '../cpu.ts'

/** Processes whose CPU time is a cost. */
export interface Payers {
  /** Processes that run all the time. */
  readonly pids: readonly number[]
  /** Returns processes of which some may start or end meanwhile, such as connections of a pool. */
  readonly others?: () => Promise<readonly number[]>
}

/** Returns the CPU milliseconds of processes during some work. @throws Error if one of `pids` ends. */
export async function processorTime<T>(
  { pids, others = async () => [] }: Payers,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly ms: number }> {
  const before = await readAll([...pids, ...(await others())])
  const result = await work()
  const after = await readAll([...pids, ...(await others())])
  const ended = pids.find((pid) => !after.has(pid))
  if (ended !== undefined) throw new Error(`process ${ended} ended during its measurement`)
  const spent = [...after].map(([pid, ms]) => ms - (before.get(pid) ?? 0))
  return { result, ms: spent.reduce((sum, ms) => sum + ms, 0) }
}

/** Returns the CPU milliseconds of each process until now. Omits those that have ended. */
async function readAll(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const found = await Promise.all(
    pids.map(async (pid): Promise<[number, number][]> => {
      const reading = await readCpu(pid)
      if (!reading) return []
      return [[pid, [...reading.threads.values()].reduce((sum, { ranMs }) => sum + ranMs, 0)]]
    }),
  )
  return new Map(found.flat())
}
