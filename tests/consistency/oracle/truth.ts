import type { Client } from 'pg'
import { type Entry, type Row, type RowName, rowName } from '../world/entries.ts'
import { VERSION_COLUMN } from '../world/versions.ts'
import type { Write, WriteLog } from '../writers/log.ts'

/** A value, valid until the next state of the timeline. */
export interface State<T> {
  readonly value: T
  /** No reader can have seen it before this time. */
  readonly sentMs: number
  /** From this time on, a load must see this state or a later one. */
  readonly ackedMs: number
  /** The transaction of the change, and its incarnation; `null` for the first state. */
  readonly xid: bigint | null
  readonly incarnation: string | null
  readonly write: Write | null
  /** The changed table; `null` for the first state. */
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
 * The committed states of every row from `checker.history`, in the order of the row locks. Each has the
 * times at which the writer sent it and received the answer.
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

  /** Replaces the changes of the previous phase by newer ones. Returns their number. */
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
    const changes = rows.map(
      ({ xid, incarnation, write, table_name: table, id, row_after: row }) => ({
        table,
        id,
        row,
        incarnation,
        xid: BigInt(xid),
        write: this.#writeOf(write, rowName(table, id), row, readAtMs),
      }),
    )
    // A write of the API may also change rows without a version, such as the members of a new project.
    const writes = new Map(changes.flatMap(({ xid, write }) => (write ? [[xid, write]] : [])))
    this.#changes = changes.map((change) => ({
      ...change,
      write: change.write ?? writes.get(change.xid) ?? null,
    }))
    this.#lastSeq = rows.at(-1)?.seq ?? this.#lastSeq
    this.#versions = new Map()
    this.#presence = new Map()
    for (const change of this.#changes) this.#addVersion(change)
    return rows.length
  }

  /** Whether history contains a change of a write. */
  holds = (write: Write): boolean => this.#found.has(write)

  /** Returns the write of a change, marked as committed: history contains only committed changes. */
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

  /** Returns the row of a version; `undefined` if the version was never committed. */
  rowOf = (version: string): RowName | undefined => this.#rowOf.get(version)

  /** Returns the versions of a row. A state is `null` while the row does not exist. */
  versions(name: RowName): Timeline<string | null> {
    const found = this.#versions.get(name)
    if (found) return found
    return [first(versionOf(name, this.#before.get(name) ?? null))]
  }

  /** Returns when each row was present in an entry, for rows that were present since the last advance. */
  presence(entry: Entry): ReadonlyMap<RowName, Timeline<boolean>> {
    const known = this.#presence.get(entry)
    if (known) return known
    const timelines = new Map<RowName, State<boolean>[]>()
    for (const { table, rows } of entry.shows) this.#trace(table, rows, timelines)
    this.#presence.set(entry, timelines)
    return timelines
  }

  /**
   * Computes the timelines of presence from the changes of one table. Several rows may cause the
   * same row to be present, one after the other. A unique index orders their transactions.
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
