import { identifier } from '../installation/quote.ts'

/** The file of each table, in the order of the names; `null` if it is a view or does not exist. */
export type Files = readonly (string | null)[]

/**
 * Returns an SQL expression for the files of tables; `names` is an expression for an array of quoted
 * names. The SQL functions read the current catalog, independent of the transaction's snapshot.
 */
export const filesSql = (names: string) =>
  `array(select pg_relation_filenode(to_regclass(name))::text from unnest(${names}::text[]) as given (name))`

/** Returns the quoted names that `filesSql` requires. */
export const fileNames = (tables: readonly string[]): string[] => tables.map(identifier)

/**
 * The last observed file of each table. A changed file reveals reads that are not MVCC-safe.
 *
 * A rewriting ALTER, a TRUNCATE or a replacement of a table gives it a new file. The rows in that file
 * are invisible to a transaction with an older snapshot. Invariant: a read in snapshot S is exact if
 * two observations show the same file for each of its tables. The first must end before S is taken,
 * the second is made at the end of the transaction.
 *
 * - File numbers are not reused, so two equal numbers mean that the file did not change in between.
 * - A read holds ACCESS SHARE on every table that it has read until its transaction ends. When the
 *   session takes that lock, it processes the catalog invalidations of every transaction that held a
 *   conflicting lock. Then no transaction can commit a rewrite, rename or drop before the end. So the
 *   second observation shows the file that was read.
 * - An observation of a table that was not read may be out of date. Then a read fails unnecessarily, or
 *   the next observation differs. An inexact read never passes.
 *
 * VACUUM FULL and CLUSTER are MVCC-safe but change the file: one read is repeated unnecessarily. TOAST
 * tables need no check, since only a rewrite of their table or VACUUM FULL rewrites them. Views,
 * partitioned and foreign tables have no file: they are not watched, and `install` rejects them.
 */
export class TableFiles {
  #known: ReadonlyMap<string, string | null> = new Map()

  /** The last observed files. Later observations do not change the returned map. */
  get known(): ReadonlyMap<string, string | null> {
    return this.#known
  }

  /** Whether every table was observed. */
  knows(tables: readonly string[]): boolean {
    return tables.every((table) => this.#known.has(table))
  }

  /** Records an observation. Returns the tables whose file differs from `before`. */
  observe(
    tables: readonly string[],
    files: Files,
    before: ReadonlyMap<string, string | null> = this.#known,
  ): string[] {
    const changed = tables.filter((table, index) => before.get(table) !== files[index])
    const isNew = tables.some((table, index) => this.#known.get(table) !== files[index])
    if (isNew) {
      this.#known = new Map([
        ...this.#known,
        ...tables.map((table, index) => [table, files[index] ?? null] as const),
      ])
    }
    return changed
  }
}

/** Thrown if tables were rewritten, truncated or replaced after the snapshot of a read was taken. */
export class TablesRewritten extends Error {
  override readonly name = 'TablesRewritten'
  readonly tables: readonly string[]

  constructor(tables: readonly string[]) {
    super(`tables were rewritten, truncated or replaced during a read: ${tables.join(', ')}`)
    this.tables = tables
  }
}
