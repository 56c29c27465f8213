import { formatVersion } from '../world/versions.ts'
import { type RowName, rowName } from '../world/entries.ts'

/** One transaction or one writing request, as recorded by its sender. */
export interface Write {
  readonly number: number
  /** The kind of write, such as `multi-row update`. */
  readonly door: string
  /** Time just before the COMMIT or the request was sent. No reader can have seen it earlier. */
  sentMs: number
  /** Time just after the answer arrived. Every later load must see it. `Infinity` while unknown. */
  ackedMs: number
  outcome: 'open' | 'committed' | 'rolled back' | 'unknown'
  /** Rows that the writer declared to change. */
  readonly touched: Set<RowName>
}

/** All writes of a run, timed by the monotonic clock of this process. */
export class WriteLog {
  readonly #writes = new Map<number, Write>()
  readonly #byVersion = new Map<string, Write>()
  /** Deletions through the API. History cannot attribute them by write number or version. */
  readonly deletions = new Map<RowName, Write>()
  #lastVersion: number

  /** @param lastVersion - versions are numbered after this; the ranges of two logs must not overlap. */
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

  /** Returns a new unique version for one row, and records the row as touched. */
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

  /** Returns the writes after a number. */
  since = (number: number): readonly Write[] =>
    [...this.#writes.values()].filter((write) => write.number > number)

  get size(): number {
    return this.#writes.size
  }
}
