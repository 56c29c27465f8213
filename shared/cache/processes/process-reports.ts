import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { processesKey, processKey } from '../definition/key.ts'
import type { Instruments } from '../instruments.ts'
import type { Buckets } from '../redis/buckets.ts'
import type { Redis } from '../redis/redis.ts'
import { type ProcessReport, readCounters } from './process-report.ts'

/** A process as it presents itself. */
export interface ProcessIdentity {
  readonly application: string
  readonly version: string
  readonly answersAt?: string | undefined
}

export interface ReportWriterDeps extends ProcessIdentity {
  readonly buckets: Pick<Buckets, 'home'>
  readonly instruments: Instruments
}

const EVERY_MS = 2_000
/** Three reports may be late before a process counts as ended. */
const EXPIRES_MS = 6_500

/** Returns the id of a process: no two processes have the same one. */
export const newProcessId = (): string => randomBytes(6).toString('hex')

/**
 * Writes the counters of this process to Redis every 2 s, under a key that expires when it has ended. A
 * failure stops nothing: the next report includes what the lost one did.
 */
export async function runReportWriter(
  { buckets, instruments, application, version, answersAt }: ReportWriterDeps,
  stopping: AbortSignal,
  id = newProcessId(),
): Promise<void> {
  const identity = {
    id,
    application,
    version,
    host: hostname(),
    pid: process.pid,
    startedAtMs: Date.now(),
    ...(answersAt !== undefined && { answersAt }),
  }
  while (!stopping.aborted) {
    const home = buckets.home()
    if (home !== null) {
      const { redis, prefix } = home
      const report: ProcessReport = { ...identity, ...(await readCounters(instruments)) }
      // Commands that every user of this cache is permitted.
      await Promise.all([
        redis.hset(processesKey(prefix), id, ''),
        redis.set(processKey(prefix, id), JSON.stringify(report), 'PX', EXPIRES_MS),
      ]).catch(() => undefined)
    }
    await sleep(EVERY_MS, undefined, { signal: stopping, ref: false }).catch(() => undefined)
  }
  const home = buckets.home()
  if (home !== null) {
    const { redis, prefix } = home
    await Promise.all([
      redis.unlink(processKey(prefix, id)),
      redis.hdel(processesKey(prefix), id),
    ]).catch(() => undefined)
  }
}

/** Reads the reports of all running processes, and removes ended ones from the list. */
export async function readReports(redis: Redis, prefix: string): Promise<readonly ProcessReport[]> {
  const ids = await redis.hkeys(processesKey(prefix))
  const found = await Promise.all(
    ids.map(async (id) => {
      const report = parse(await redis.get(processKey(prefix, id)))
      if (report === null) await redis.hdel(processesKey(prefix), id)
      return report ?? []
    }),
  )
  return found.flat().toSorted((a, b) => a.startedAtMs - b.startedAtMs)
}

/** Another build may write other reports: what is not one counts as absent. */
function parse(text: string | null): ProcessReport | null {
  try {
    const found = JSON.parse(text ?? 'null') as Partial<ProcessReport> | null
    const isReport =
      typeof found?.id === 'string' &&
      typeof found.application === 'string' &&
      typeof found.events === 'number' &&
      [found.reads, found.loads, found.invalidated, found.flushes].every(
        (counts) => typeof counts === 'object' && counts !== null,
      ) &&
      Array.isArray(found.owned)
    return isReport ? (found as ProcessReport) : null
  } catch {
    return null
  }
}
