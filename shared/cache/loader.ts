import { bulkhead, BulkheadRejectedError, handleWhen, retry } from 'cockatiel'
import type { Kysely, Transaction } from 'kysely'
import { findIncarnation } from '../../db/queries/incarnation.ts'
import type { Database } from '../../db/schema.ts'
import { PublicError } from '../errors.ts'
import { OwnLife } from './own-life.ts'
import type { Loaded, Params, Resource } from './resource.ts'

export interface LoaderOptions {
  /** How many loads may run at once, and how many may wait for their turn. */
  readonly concurrency: number
  readonly queue: number
  /** Told which life of the database a load saw. */
  readonly life?: Pick<OwnLife, 'saw'>
}

/** What a load read, and in which life of the database. */
export interface Reading {
  readonly loaded: Loaded | null
  /** `null` when it was not asked for, or the database has none: then it must not be kept. */
  readonly incarnation: string | null
}

/** Reads from Postgres, so many at a time and no more. */
export interface Loader {
  /** Loads one variant; with `forKeeping` also what a frame needs to know of the database. */
  load(resource: Resource, params: Params, variant: string, forKeeping: boolean): Promise<Reading>
  query<T>(work: (trx: Transaction<Database>) => Promise<T>): Promise<T>
}

/** A loader that says how busy it is. */
export interface LimitedLoader extends Loader {
  readonly running: number
  readonly waiting: number
  /** How many found the queue full. */
  readonly refused: number
}

/** How often a load that lost a deadlock is begun again. */
const RETRIES = 2

/** A limiter on concurrent loads keeps a flood of misses from taking the database with it. */
export function createLoader(
  db: Kysely<Database>,
  { concurrency, queue, life = new OwnLife() }: LoaderOptions,
): LimitedLoader {
  const limiter = bulkhead(concurrency, queue)
  // A load changes nothing, so one that lost to a TRUNCATE or an ALTER may simply begin again.
  const retrying = retry(handleWhen(isDeadlock), { maxAttempts: RETRIES })
  let refused = 0

  async function seenIncarnation(trx: Transaction<Database>): Promise<string | null> {
    const askedAtMs = performance.now()
    const incarnation = await findIncarnation(trx)
    life.saw(incarnation, askedAtMs)
    return incarnation
  }

  async function query<T>(work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
    try {
      return await limiter.execute(() =>
        retrying.execute(() =>
          // One snapshot for all of a load's queries: no answer is torn between two states.
          db
            .transaction()
            .setIsolationLevel('repeatable read')
            .setAccessMode('read only')
            .execute(work),
        ),
      )
    } catch (error) {
      if (error instanceof BulkheadRejectedError) refused++
      else if (!isDeadlock(error)) throw error
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
    get refused() {
      return refused
    },
    query,
    async load(resource, params, variant, forKeeping) {
      const load = (keep: boolean) =>
        query(async (trx) => ({
          incarnation: keep ? await seenIncarnation(trx) : null,
          loaded: await resource.load(trx, params, variant),
        }))
      try {
        return await load(forKeeping)
      } catch (error) {
        // Without an event log nothing would be invalidated: serve, but keep nothing.
        if (forKeeping && isMissingLog(error)) return load(false)
        throw error
      }
    },
  }
}

const hasState = (error: unknown, ...states: readonly string[]) =>
  error instanceof Error && 'code' in error && states.includes(String(error.code))

/** There is none, or this role may not read it. */
const isMissingLog = (error: unknown) => hasState(error, '42P01', '42501')

/** Postgres ends one by failing somebody in it. */
const isDeadlock = (error: unknown) => hasState(error, '40P01')
