import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Fault } from '../faults/fault.ts'
import type { WriteFailure } from '../writers/sql-writers.ts'
import type { Violation } from './verdict.ts'

/** SQLSTATEs that writers cause each other: serialization, deadlock, lock time-out, unique and foreign keys. */
const OF_THEIR_OWN = ['40001', '40P01', '55P03', '23505', '23503']
/** Whether the API reports such a conflict between writers. */
const isOfTheApi = ({ code, message }: WriteFailure) =>
  code === '404' || code === '409' || message.includes('Too many edits at once')

/** Checks that no write failed in schema `invalidation`, and that none failed at all without a fault. */
export function checkWriters(
  failures: readonly WriteFailure[],
  fault: Fault | null,
): readonly Violation[] {
  const isExcused = ({ code, ...failure }: WriteFailure) =>
    fault?.takes === 'postgres' ||
    OF_THEIR_OWN.includes(code ?? '') ||
    isOfTheApi({ code, ...failure })
  return failures
    .filter((failure) => failure.isOurs || !isExcused(failure))
    .map(({ door, code, message, atMs }) => ({
      guarantee: 'G5',
      what: `${door} failed: ${code ?? 'no code'} ${message}`,
      timeline: [`at ${atMs.toFixed(1)} ms`],
    }))
}

const SAMPLE_MS = 10

export interface LockWaits {
  stop(): Promise<readonly Violation[]>
}

/** Polls `pg_locks` for sessions that wait for a lock in schema `invalidation`, except while excused. */
export function watchLockWaits(url: string, isExcused: () => boolean = () => false): LockWaits {
  const stopping = new AbortController()
  const found = new Map<string, Violation>()
  let samples = 0

  const run = async () => {
    while (!stopping.signal.aborted) {
      const client = new Client({
        connectionString: url,
        connectionTimeoutMillis: 2_000,
        query_timeout: 5_000,
      })
      client.on('error', () => {})
      try {
        await client.connect()
        while (!stopping.signal.aborted) {
          samples++
          for (const { pid, mode, locked, query } of (await client.query<Waiting>(WAITING)).rows) {
            if (isExcused()) continue
            const what = `a writer waits for ${mode} on ${locked}`
            found.set(what, { guarantee: 'G5', what, timeline: [`backend ${pid}: ${query}`] })
          }
          await sleep(SAMPLE_MS)
        }
      } catch {
        await sleep(5 * SAMPLE_MS)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
  }
  const running = run()
  return {
    async stop() {
      stopping.abort()
      await running
      return [...found.values()]
    },
  }
}

interface Waiting {
  readonly pid: number
  readonly mode: string
  readonly locked: string
  readonly query: string
}

/**
 * Includes all advisory locks: the checker and the application take none of their own. Excludes
 * waits for relation extension, which last as long as adding a page and not until a commit.
 */
const WAITING = `
  select l.pid, l.mode, a.query,
         coalesce(c.relname, 'advisory ' || l.classid || '/' || l.objid) as locked
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
  left join pg_class c on c.oid = l.relation
  left join pg_namespace n on n.oid = c.relnamespace
  where not l.granted and l.locktype <> 'extend' and (l.locktype = 'advisory' or n.nspname = 'invalidation')
    and a.usename not in ('spms_invalidator', 'spms_owner')
`
