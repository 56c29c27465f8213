import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { Logger } from 'winston'
import type { Database } from '../db/schema.ts'
import { backOffMs } from '../db/event-log/index.ts'

export interface MonitorDatabaseDeps {
  readonly db: Kysely<Database>
  readonly logger: Logger
  readonly stopping: AbortSignal
}

const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 10_000

/**
 * Logs once when Postgres becomes unreachable, and once when it is reachable again. Call the returned
 * function at start and after each connection error. While Postgres is unreachable, requests are served
 * from Redis if possible.
 */
export function monitorDatabase({ db, logger, stopping }: MonitorDatabaseDeps): () => void {
  let isWaiting = false

  async function waitUntilReachable(): Promise<void> {
    for (let attempt = 0; !stopping.aborted; attempt++) {
      try {
        await sql`select 1`.execute(db)
        if (attempt > 0) logger.info('database reachable')
        return
      } catch (error) {
        if (attempt === 0 && !stopping.aborted) logger.warn('database unreachable', { error })
      }
      await pause(attempt)
    }
  }

  const pause = (attempt: number) =>
    sleep(backOffMs(attempt + 1, RETRY_MIN_MS, RETRY_MAX_MS), undefined, {
      signal: stopping,
    }).catch(() => {})

  return () => {
    if (isWaiting || stopping.aborted) return
    isWaiting = true
    void waitUntilReachable().finally(() => {
      isWaiting = false
    })
  }
}
