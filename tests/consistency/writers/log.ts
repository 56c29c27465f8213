import { formatVersion } from '../world/versions.ts'
import { type RowName, rowName } from '../world/entries.ts'

/** One transaction, or one request that writes, as whoever made it knows it. */
export interface Write {
  readonly number: number
  /** By which way it came, such as `multi-row update`. */
  readonly door: string
  /** Before COMMIT, or the request, was sent: nobody can have seen it earlier. */
  sentMs: number
  /** After the answer arrived: from here on everybody has to see it. `Infinity` while unknown. */
  ackedMs: number
  outcome: 'open' | 'committed' | 'rolled back' | 'unknown'
  /** Which rows it said it would touch. */
  readonly touched: Set<RowName>
}

/** All writes of a run, on the one monotonic clock of this process. */
export class WriteLog {
  readonly #writes = new Map<number, Write>()
  readonly #byVersion = new Map<string, Write>()
  /** What the API was asked to delete: its transactions carry no number, and a deletion no version. */
  readonly deletions = new Map<RowName, Write>()
  #lastVersion: number

  /** @param lastVersion - after which its versions are numbered; others must not use the same. */
  constructor(lastVersion = 1_000_000) {
    this.#lastVersion = lastVersion
  }

  begin(door: string): Write {
    const write: Write = {
      number: this.#writes.size + 1,
      door,
      sentMs: Infinity,
      ackedMs: Infinity,
      outcome: 'open',
      touched: new Set(),
    }
    this.#writes.set(write.number, write)
    return write
  }

  /** A version that was never used, for one row. */
  version(write: Write, table: string, id: unknown): string {
    const version = formatVersion(++this.#lastVersion)
    this.#byVersion.set(version, write)
    write.touched.add(rowName(table, id))
    return version
  }

  byNumber = (number: number): Write | undefined => this.#writes.get(number)
  byVersion = (version: string): Write | undefined => this.#byVersion.get(version)

  get committed(): number {
    let count = 0
    for (const { outcome } of this.#writes.values()) if (outcome === 'committed') count++
    return count
  }

  /** Those after a number. */
  since = (number: number): readonly Write[] =>
    [...this.#writes.values()].filter((write) => write.number > number)

  get size(): number {
    return this.#writes.size
  }
}
