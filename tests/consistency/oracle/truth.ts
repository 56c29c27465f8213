import type { Client } from 'pg'
import { type Entry, type Row, type RowName, rowName } from '../world/entries.ts'
import { VERSION_COLUMN } from '../world/versions.ts'
import type { Write, WriteLog } from '../writers/log.ts'

/** A state that something was in, until the next one. */
export interface State<T> {
  readonly value: T
  /** Nobody can have seen it before. */
  readonly sentMs: number
  /** Everybody has to see it, or a later one, from here on. */
  readonly ackedMs: number
  /** The transaction that made it so, and in which life of the database; `null` for the first state. */
  readonly xid: bigint | null
  readonly incarnation: string | null
  readonly write: Write | null
  /** Whose row was changed; `null` for the first state. */
  readonly table: string | null
}

/** Oldest first. */
export type Timeline<T> = readonly State<T>[]

interface Change {
  readonly table: string
  readonly id: string
  readonly row: Row | null
  readonly xid: bigint
  readonly incarnation: string | null
  readonly write: Write | null
}

/**
 * What was true when: the committed states of every row in the order of their locks, as history has
 * them, and the times at which their writers sent and got back.
 */
export class Truth {
  readonly #log: WriteLog
  #changes: Change[] = []
  #lastSeq = '0'
  /** The newest state of each row before `#changes`. */
  readonly #before = new Map<RowName, Row | null>()
  readonly #rowOf = new Map<string, RowName>()
  readonly #found = new Set<Write>()
  #versions = new Map<RowName, State<string | null>[]>()
  #presence = new Map<Entry, Map<RowName, State<boolean>[]>>()

  constructor(log: WriteLog) {
    this.#log = log
  }

  /** Forgets the details of what was read so far, and reads what history has got since. */
  async advance(client: Client): Promise<number> {
    for (const { table, id, row } of this.#changes) this.#before.set(rowName(table, id), row)
    const { rows } = await client.query<{
      seq: string
      xid: string
      incarnation: string | null
      write: string | null
      table_name: string
      id: string
      row_after: Row | null
    }>('select * from checker.history where seq > $1 order by seq', [this.#lastSeq])
    const readAtMs = performance.now()
    this.#changes = rows.map(
      ({ xid, incarnation, write, table_name: table, id, row_after: row }) => ({
        table,
        id,
        row,
        incarnation,
        xid: BigInt(xid),
        write: this.#writeOf(write, rowName(table, id), row, readAtMs),
      }),
    )
    this.#lastSeq = rows.at(-1)?.seq ?? this.#lastSeq
    this.#versions = new Map()
    this.#presence = new Map()
    for (const change of this.#changes) this.#addVersion(change)
    return rows.length
  }

  /** Whether history has anything of a write since the last advance. */
  holds = (write: Write): boolean => this.#found.has(write)

  /** What history has, has been committed, whatever its writer was told. */
  #writeOf(number: string | null, name: RowName, row: Row | null, readAtMs: number): Write | null {
    const write = number === null ? this.#ofTheApi(name, row) : this.#log.byNumber(Number(number))
    if (!write) return null
    this.#found.add(write)
    if (write.outcome !== 'committed') {
      write.outcome = 'committed'
      write.ackedMs = readAtMs
    }
    return write
  }

  #ofTheApi(name: RowName, row: Row | null): Write | undefined {
    if (row === null) return this.#log.deletions.get(name)
    const version = versionOf(name, row)
    return version === null ? undefined : this.#log.byVersion(version)
  }

  #addVersion(change: Change): void {
    const { table, id, row } = change
    if (!(table in VERSION_COLUMN)) return
    const name = rowName(table, id)
    const value = versionOf(name, row)
    if (value !== null) this.#rowOf.set(value, name)
    const timeline = this.#versions.get(name) ?? [
      first(versionOf(name, this.#before.get(name) ?? null)),
    ]
    timeline.push(stateOf(value, change))
    this.#versions.set(name, timeline)
  }

  /** The row that a version was given to; `undefined` when no such version was ever committed. */
  rowOf = (version: string): RowName | undefined => this.#rowOf.get(version)

  /** The versions of a row; `null` while there is no such row. */
  versions(name: RowName): Timeline<string | null> {
    const found = this.#versions.get(name)
    if (found) return found
    return [first(versionOf(name, this.#before.get(name) ?? null))]
  }

  /** Whether each row shows in an entry: of all that ever did since the last advance. */
  presence(entry: Entry): ReadonlyMap<RowName, Timeline<boolean>> {
    const known = this.#presence.get(entry)
    if (known) return known
    const timelines = new Map<RowName, State<boolean>[]>()
    for (const { table, rows } of entry.shows) this.#trace(table, rows, timelines)
    this.#presence.set(entry, timelines)
    return timelines
  }

  /**
   * A row may show because of several, one after the other. Of those that make the same row show,
   * a unique index lets none begin before the other has committed its end, so their order holds.
   */
  #trace(
    table: string,
    shownBy: (row: Row) => readonly RowName[],
    timelines: Map<RowName, State<boolean>[]>,
  ): void {
    const causes = new Map<RowName, Set<string>>()
    const set = (shown: RowName, cause: string, isShown: boolean) => {
      const found = causes.get(shown) ?? new Set()
      causes.set(shown, found)
      if (isShown) found.add(cause)
      else found.delete(cause)
      return found.size > 0
    }
    for (const [name, row] of this.#before) {
      if (row === null || !name.startsWith(`${table} `)) continue
      for (const shown of shownBy(row)) {
        set(shown, name, true)
        timelines.set(shown, [first(true)])
      }
    }
    const rows = new Map(this.#before)
    for (const change of this.#changes) {
      const { id, row } = change
      if (change.table !== table) continue
      const name = rowName(table, id)
      const before = rows.get(name) ?? null
      rows.set(name, row)
      const shownBefore = before === null ? [] : shownBy(before)
      const shownAfter = row === null ? [] : shownBy(row)
      for (const shown of new Set([...shownBefore, ...shownAfter])) {
        const isShown = set(shown, name, shownAfter.includes(shown))
        const timeline = timelines.get(shown) ?? [first(false)]
        timelines.set(shown, timeline)
        if (timeline.at(-1)?.value !== isShown) timeline.push(stateOf(isShown, change))
      }
    }
  }
}

function versionOf(name: RowName, row: Row | null): string | null {
  const [table = ''] = name.split(' ')
  const column = (VERSION_COLUMN as Record<string, string>)[table]
  const value = column === undefined ? undefined : row?.[column]
  return typeof value === 'string' ? value : null
}

const first = <T>(value: T): State<T> => ({
  value,
  sentMs: -Infinity,
  ackedMs: -Infinity,
  xid: null,
  incarnation: null,
  write: null,
  table: null,
})

const stateOf = <T>(
  value: T,
  { xid, incarnation, write, table }: Pick<Change, 'xid' | 'incarnation' | 'write' | 'table'>,
): State<T> => ({
  value,
  sentMs: write?.sentMs ?? -Infinity,
  ackedMs: write?.ackedMs ?? -Infinity,
  xid,
  incarnation,
  write,
  table,
})
