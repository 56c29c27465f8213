import { bulkhead, BulkheadRejectedError, handleWhen, retry } from 'cockatiel'
import type { Kysely, Transaction } from 'kysely'
import { TablesRewritten } from '../../db/event-log/table-files.ts'
import type { Database } from '../../db/schema.ts'
import { transienceOf } from '../../db/transient-states.ts'
import { PublicError } from '../errors.ts'
import { IncarnationTracker } from './incarnation-tracker.ts'
import { type Loaded, type Params, type Resource, tablesOf } from './resource.ts'
import { createSnapshotReader, type SnapshotResult } from './snapshot-read.ts'

export interface LoaderOptions {
  /** How many loads may run at once, and how many may wait for their turn. */
  readonly concurrency: number
  readonly queue: number
  /** Told which life of the database a load saw. */
  readonly incarnationTracker?: Pick<IncarnationTracker, 'observe'>
  /** What a query that is not a load may read. One of a table that was rewritten meanwhile begins again. */
  readonly tables?: readonly string[]
}

/** What a load read, and in which life of the database. */
export interface LoadResult {
  readonly loaded: Loaded | null
  /** `null` when it was not asked for, or the database has none: then it must not be kept. */
  readonly incarnation: string | null
}

/** Reads from Postgres, so many at a time and no more. */
export interface Loader {
  /** Loads one variant; with `forStorage` also what a frame needs to know of the database. */
  load(
    resource: Resource,
    params: Params,
    variant: string,
    forStorage: boolean,
  ): Promise<LoadResult>
  query<T>(work: (trx: Transaction<Database>) => Promise<T>): Promise<T>
}

/** A loader that says how busy it is. */
export interface LimitedLoader extends Loader {
  readonly running: number
  readonly waiting: number
  /** How many found the queue full. */
  readonly rejected: number
}

/** How often a load that lost a deadlock, or whose tables were rewritten, is begun again. */
const RETRIES = 2

/** A limiter on concurrent loads keeps a flood of misses from taking the database with it. */
export function createLoader(
  db: Kysely<Database>,
  {
    concurrency,
    queue,
    incarnationTracker = new IncarnationTracker(),
    tables: allTables = [],
  }: LoaderOptions,
): LimitedLoader {
  const limiter = bulkhead(concurrency, queue)
  // A load changes nothing, so one that lost to a TRUNCATE or an ALTER may simply begin again.
  const retrying = retry(handleWhen(isRetryable), { maxAttempts: RETRIES })
  const snapshots = createSnapshotReader(db)
  let rejected = 0

  async function read<T>(
    tables: readonly string[],
    withIncarnation: boolean,
    work: (trx: Transaction<Database>) => Promise<T>,
  ): Promise<SnapshotResult<T>> {
    try {
      return await limiter.execute(() =>
        retrying.execute(({ attempt }) =>
          // Where tables are rewritten one after the other, only locks let the last attempt succeed.
          snapshots.read(tables, withIncarnation, work, attempt === RETRIES),
        ),
      )
    } catch (error) {
      if (error instanceof BulkheadRejectedError) rejected++
      else if (!isRetryable(error)) throw error
      throw new PublicError('unavailable', 'The server is busy.', { retryAfterS: 1, cause: error })
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
    async load(resource, params, variant, forStorage) {
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
        // Without an event log nothing would be invalidated: serve, but keep nothing.
        if (forStorage && isMissingLog(error)) return load(false)
        throw error
      }
    },
  }
}

const hasState = (error: unknown, ...states: readonly string[]) =>
  error instanceof Error && 'code' in error && states.includes(String(error.code))

/** There is none, or this role may not read it. */
const isMissingLog = (error: unknown) => hasState(error, '42P01', '42501')

/** Postgres ends a deadlock by failing one of its transactions; a rewrite has ended when it is seen. */
const isRetryable = (error: unknown) =>
  transienceOf(error) === 'conflict' || error instanceof TablesRewritten
