import type { Logger } from 'winston'
import { errorCode, TablesRewritten, type WorkerSession } from '../db/event-log/index.ts'
import { LookupFailed } from './translation.ts'

/** An attempt to read and map a window, and what it omits because earlier attempts failed. */
export interface Attempt {
  /** Resources to flush because their lookups failed. */
  readonly failed: ReadonlySet<string>
  /** Whether tables were rewritten under lookups of an earlier attempt. */
  readonly isRewritten: boolean
  /** Whether the log is not read: every resource is flushed. */
  readonly isUnread: boolean
}

/** Result of an attempt, and the end of its transaction. */
export interface Completed<T> {
  readonly found: T
  /** COMMIT was sent and need not be awaited at once. */
  readonly ended: Promise<unknown>
}

export interface WindowTransactionDeps {
  readonly session: Pick<WorkerSession, 'client' | 'lost'>
  readonly logger: Logger
  /** Called before the transaction of each attempt. */
  readonly prepare: () => Promise<void>
  /** Returns the names of the resources whose changes are found by lookups. */
  readonly findLookupResources: () => readonly string[]
}

/** query_canceled: a statement exceeded its time limit. */
const isTooSlow = (error: unknown) => errorCode(error) === '57014'

/**
 * Returns a function that reads and maps a window in one transaction, and repeats it after a failure. A
 * failed lookup aborts its transaction: its resource is flushed and the window starts again. If a table
 * was rewritten under lookups, the window is retried once, then the resources with lookups are flushed.
 * If the log cannot be read in time, every resource is flushed without reading it.
 */
export function createWindowTransaction({
  session: { client, lost },
  logger,
  prepare,
  findLookupResources,
}: WindowTransactionDeps): <T>(
  readAndMap: (attempt: Attempt) => Promise<T>,
) => Promise<Completed<T>> {
  /** Returns the attempt that follows an error; `null` if the error has no remedy. */
  function nextAttempt(attempt: Attempt, error: unknown): Attempt | null {
    const { failed, isRewritten, isUnread } = attempt
    if (error instanceof LookupFailed) {
      const { resources, cause } = error
      logger.error('lookups failed, flushing their resources', { resources, error: cause })
      return { ...attempt, failed: new Set([...failed, ...resources]) }
    }
    if (error instanceof TablesRewritten) {
      if (!isRewritten) return { ...attempt, isRewritten: true }
      const resources = findLookupResources()
      logger.error('tables were rewritten under lookups, flushing their resources', {
        resources,
        tables: error.tables,
      })
      return { ...attempt, failed: new Set([...failed, ...resources]) }
    }
    if (!isUnread && isTooSlow(error)) {
      logger.error('reading the event log took too long, flushing every resource', { error })
      return { ...attempt, isUnread: true }
    }
    return null
  }

  return async (readAndMap) => {
    let attempt: Attempt = { failed: new Set(), isRewritten: false, isUnread: false }
    for (;;) {
      await prepare()
      try {
        const found = await readAndMap(attempt)
        return { found, ended: client.query('commit') }
      } catch (error) {
        if (lost.aborted) throw error
        await client.query('rollback')
        const next = nextAttempt(attempt, error)
        if (next === null) throw error
        attempt = next
      }
    }
  }
}
