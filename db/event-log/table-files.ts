import { identifier } from './quote.ts'

/** The file of each table, in the order of their names; `null` for a view and for what does not exist. */
export type Files = readonly (string | null)[]

/**
 * SQL for the files of the tables whose quoted names are an array of text. Both functions read the
 * catalog as it is now, whatever the snapshot of their transaction.
 */
export const filesSql = (names: string) =>
  `array(select pg_relation_filenode(to_regclass(name))::text from unnest(${names}::text[]) as given (name))`

/** Names as `filesSql` takes them. */
export const fileNames = (tables: readonly string[]): string[] => tables.map(identifier)

/**
 * In which file each table was last seen: what shows that a read was not MVCC-safe.
 *
 * A rewriting ALTER, a TRUNCATE and a table of the same name have a file of their own, and a
 * transaction with an older snapshot finds the rows in it invisible. Invariant: a read in snapshot S is
 * exact if the file of each of its tables is the same in an observation that had ended before S was
 * taken, and in one at the end of its transaction.
 *
 * - Numbers of files are not used again, so the same number twice means that there was no other between.
 * - The read itself holds ACCESS SHARE on every table that it has read, until its transaction ends.
 *   Taking the lock makes the session accept the invalidations of every transaction that had an
 *   exclusive one, and no other can commit a rewrite, a rename or a drop before the end. So the
 *   second observation is of the very file that was read.
 * - An observation of a table that was not read may be out of date. That makes a read fail for no
 *   reason, or the next observation differ; it never makes one pass.
 *
 * VACUUM FULL and CLUSTER keep MVCC and change the file: one read begins again for no reason. TOAST
 * tables need no look, since they are only rewritten with their table or by VACUUM FULL. Views,
 * partitioned and foreign tables have no file: they are not watched, and `install` refuses them.
 */
export class TableFiles {
  #known: ReadonlyMap<string, string | null> = new Map()

  /** What is known now. A later observation does not change it. */
  get known(): ReadonlyMap<string, string | null> {
    return this.#known
  }

  /** Whether there is an observation of every table. */
  knows(tables: readonly string[]): boolean {
    return tables.every((table) => this.#known.has(table))
  }

  /** Takes an observation, and returns the tables that have another file than in an earlier one. */
  observe(
    tables: readonly string[],
    files: Files,
    before: ReadonlyMap<string, string | null> = this.#known,
  ): string[] {
    const changed = tables.filter((table, index) => before.get(table) !== files[index])
    const news = tables.some((table, index) => this.#known.get(table) !== files[index])
    if (news) {
      this.#known = new Map([
        ...this.#known,
        ...tables.map((table, index) => [table, files[index] ?? null] as const),
      ])
    }
    return changed
  }
}

/** A read failed because tables were rewritten, emptied or exchanged after its snapshot was taken. */
export class TablesRewritten extends Error {
  override readonly name = 'TablesRewritten'
  readonly tables: readonly string[]

  constructor(tables: readonly string[]) {
    super(`rewritten, emptied or exchanged during a read: ${tables.join(', ')}`)
    this.tables = tables
  }
}
