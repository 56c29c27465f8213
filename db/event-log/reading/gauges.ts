import { inTransaction } from '../connection/connection.ts'
import { AFTER_SNAPSHOT, snapshotValues } from './backlog.ts'
import type { Snapshot } from './snapshot.ts'

/** Sizes of the event log and of the NOTIFY queue. */
export interface Gauges {
  /** Events committed after the snapshot, counted up to a limit; `null` without a snapshot. */
  readonly waiting: number | null
  readonly bytes: number
  /** Age of the oldest event in the log, in seconds; 0 for an empty log. */
  readonly oldestS: number
  /** From 0 to 1. At 1 the queue is full, and every transaction that notifies fails. */
  readonly notifyQueueUsage: number
}

export interface GaugesOptions {
  readonly url: string
  readonly applicationName: string
  /** The cursor of the resource that is furthest behind. */
  readonly since: Snapshot | null
}

/** A higher count gives no more information, and takes longer. */
const COUNT_UP_TO = 100_000
const TIMEOUT_MS = 3_000

/** Reads the gauges on a separate connection, so that it delays no other query. */
export async function readGauges(options: GaugesOptions): Promise<Gauges> {
  const { url, applicationName, since } = options
  const connection = { applicationName, connectTimeoutMs: TIMEOUT_MS, queryTimeoutMs: TIMEOUT_MS }
  return inTransaction(url, connection, async (client) => {
    // Segments are truncated often, so planner statistics are useless.
    await client.query(
      `set local enable_seqscan = off; set local statement_timeout = ${TIMEOUT_MS}`,
    )
    const { rows } = await client.query<Row>(
      `select pg_notification_queue_usage() as notify_queue_usage,
              (select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits
               where inhparent = 'invalidation.event'::regclass) as bytes,
              coalesce((select extract(epoch from clock_timestamp() - at)
                        from invalidation.event order by xid limit 1), 0) as oldest_s,
              (select count(*) from (
                 select from invalidation.event
                 where ${AFTER_SNAPSHOT}
                 limit $3
               ) waiting) as waiting`,
      [...(since ? snapshotValues(since) : ['0', []]), since ? COUNT_UP_TO : 0],
    )
    const row = rows[0] as Row
    return {
      waiting: since && Number(row.waiting),
      bytes: Number(row.bytes),
      oldestS: Math.max(0, Number(row.oldest_s)),
      notifyQueueUsage: row.notify_queue_usage,
    }
  })
}

interface Row {
  readonly waiting: string
  readonly bytes: string
  readonly oldest_s: string
  readonly notify_queue_usage: number
}
