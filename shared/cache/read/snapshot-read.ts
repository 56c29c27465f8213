import type { Kysely, Transaction } from 'kysely'
import {
  findFiles,
  findFilesAndIncarnation,
  lockTables,
  TableFiles,
  TablesRewritten,
} from '../../../db/event-log/index.ts'

/** Result of a read in one snapshot. */
export interface SnapshotResult<T> {
  readonly value: T
  /** Incarnation in the snapshot; `null` if it was not requested or none has begun. */
  readonly incarnation: string | null
  /** `performance.now()` before the snapshot was taken. */
  readonly beganAtMs: number
}

/** Reads several tables in one snapshot, so that no answer mixes two states. */
export interface SnapshotReader<DB> {
  /**
   * Runs queries in a REPEATABLE READ READ ONLY transaction. With `lockFirst` it locks all tables before
   * the snapshot. It may then wait for DDL on tables that `work` does not read, but no rewrite can follow.
   * @throws TablesRewritten if a rewrite that is not MVCC-safe hit a table meanwhile. Retry then.
   */
  read<T>(
    tables: readonly string[],
    withIncarnation: boolean,
    work: (trx: Transaction<DB>) => Promise<T>,
    lockFirst?: boolean,
  ): Promise<SnapshotResult<T>>
}

/** Creates a reader that remembers the files of the tables between reads. */
export function createSnapshotReader<DB>(db: Kysely<DB>): SnapshotReader<DB> {
  const files = new TableFiles()

  return {
    async read(tables, withIncarnation, work, lockFirst = false) {
      // Only the first read of a table needs this query before its transaction.
      if (!files.knows(tables)) files.observe(tables, await findFiles(db, tables))
      // Observed before the snapshot, which the first query of the transaction takes.
      let before = files.known
      const beganAtMs = performance.now()

      async function finish(trx: Transaction<DB>): Promise<string | null> {
        if (tables.length === 0 && !withIncarnation) return null
        const seen = withIncarnation
          ? await findFilesAndIncarnation(trx, tables)
          : { files: await findFiles(trx, tables), incarnation: null }
        const changed = files.observe(tables, seen.files, before)
        if (changed.length > 0) throw new TablesRewritten(changed)
        return seen.incarnation
      }

      return db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute(async (trx) => {
          if (lockFirst) {
            const existing = tables.filter((table) => before.get(table) != null)
            await lockTables(trx, existing)
            files.observe(tables, await findFiles(trx, tables))
            before = files.known
          }
          let value
          try {
            value = await work(trx)
          } catch (error) {
            // `work` may have failed because a rewritten table looked empty. After an SQL error the
            // transaction accepts no more queries, and that error is thrown.
            await finish(trx).catch((reason: unknown) => {
              if (reason instanceof TablesRewritten) throw reason
            })
            throw error
          }
          return { value, incarnation: await finish(trx), beganAtMs }
        })
    },
  }
}
