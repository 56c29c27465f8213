import { bulkhead, BulkheadRejectedError, handleWhen, retry } from 'cockatiel'
import type { Kysely, Transaction } from 'kysely'
import { errorCode, TablesRewritten, transienceOf } from '../../../db/event-log/index.ts'
import { IncarnationTracker } from '../freshness/incarnation-tracker.ts'
import { type Loaded, type Params, type Resource, tablesOf } from '../definition/resource.ts'
import { createSnapshotReader, type SnapshotResult } from './snapshot-read.ts'

export interface LoaderOptions {
  /** Limits on loads that run at once, and on loads that wait. */
  readonly concurrency: number
  readonly queue: number
  /** Receives the incarnation that each load saw. */
  readonly incarnationTracker?: Pick<IncarnationTracker, 'observe'>
  /** Tables that `query` may read. If one of them was rewritten meanwhile, the query starts again. */
  readonly tables?: readonly string[]
}

/** Result of a load, and the incarnation of the database that it read. */
export interface LoadResult {
  readonly loaded: Loaded | null
  /** `null` if it was not requested or the database has none: the result must not be stored then. */
  readonly incarnation: string | null
}

/** Reads from Postgres, with a limit on concurrent loads. */
export interface Loader<DB> {
  /**
   * Loads one variant. With `forStorage` it also reads the incarnation, which a cached value needs.
   * @throws LoaderBusy if too many loads wait, or every attempt met a conflict.
   */
  load(request: LoadRequest<DB>, forStorage: boolean): Promise<LoadResult>
  /** Runs a query under the same limits. @throws LoaderBusy */
  query<T>(work: (trx: Transaction<DB>) => Promise<T>): Promise<T>
}

/** One variant of one entry, to be loaded. */
export interface LoadRequest<DB> {
  readonly resource: Resource<DB>
  readonly params: Params
  readonly variant: string
}

/** Thrown if too many loads wait, or tables are rewritten all the time. A later load may succeed. */
export class LoaderBusy extends Error {
  override readonly name = 'LoaderBusy'
}

/** Returns the body of a result; `null` if the entity does not exist. */
export const bodyOf = ({ loaded }: LoadResult): Buffer | null =>
  loaded === null ? null : Buffer.from(loaded.body)

/** A loader that reports its utilization. */
export interface LimitedLoader<DB> extends Loader<DB> {
  readonly running: number
  readonly waiting: number
  /** Number of loads that found the queue full. */
  readonly rejected: number
}

/** Retries of a load that lost a deadlock or whose tables were rewritten. */
const RETRIES = 2

/** Creates a loader. Its limit on concurrent loads protects the database from a flood of misses. */
export function createLoader<DB>(
  db: Kysely<DB>,
  {
    concurrency,
    queue,
    incarnationTracker = new IncarnationTracker(),
    tables: allTables = [],
  }: LoaderOptions,
): LimitedLoader<DB> {
  const limiter = bulkhead(concurrency, queue)
  // Loads only read, so a load that lost a deadlock against TRUNCATE or ALTER can start again.
  const retrying = retry(handleWhen(isRetryable), { maxAttempts: RETRIES })
  const snapshots = createSnapshotReader(db)
  let rejected = 0

  async function read<T>(
    tables: readonly string[],
    withIncarnation: boolean,
    work: (trx: Transaction<DB>) => Promise<T>,
  ): Promise<SnapshotResult<T>> {
    try {
      return await limiter.execute(() =>
        retrying.execute(({ attempt }) =>
          // If tables are rewritten one after another, only locks let the last attempt succeed.
          snapshots.read(tables, withIncarnation, work, attempt === RETRIES),
        ),
      )
    } catch (error) {
      if (error instanceof BulkheadRejectedError) {
        rejected++
        throw new LoaderBusy('too many loads wait', { cause: error })
      }
      if (!isRetryable(error)) throw error
      throw new LoaderBusy('tables were rewritten or locked during every attempt', { cause: error })
    }
  }

  return {
    get running() {
      return concurrency - limiter.executionSlots
    },
    get waiting() {
      return queue - limiter.queueSlots
    },
    get rejected() {
      return rejected
    },
    query: async (work) => (await read(allTables, false, work)).value,
    async load({ resource, params, variant }, forStorage) {
      const load = async (forStorage: boolean): Promise<LoadResult> => {
        const { value, incarnation, beganAtMs } = await read(
          tablesOf(resource),
          forStorage,
          (trx) => resource.load(trx, params, variant),
        )
        if (forStorage) incarnationTracker.observe(incarnation, beganAtMs)
        return { loaded: value, incarnation }
      }
      try {
        return await load(forStorage)
      } catch (error) {
        // Without an event log no entry would be invalidated: serve the answer, but do not store it.
        if (forStorage && isMissingLog(error)) return load(false)
        throw error
      }
    },
  }
}

/** Whether the event log does not exist, or this role may not read it. */
const isMissingLog = (error: unknown) => ['42P01', '42501'].includes(errorCode(error) ?? '')

/** Postgres ends a deadlock by failing one transaction. A rewrite has ended when it is detected. */
const isRetryable = (error: unknown) =>
  transienceOf(error) === 'conflict' || error instanceof TablesRewritten
