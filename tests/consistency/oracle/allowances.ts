import type { Read } from '../readers/read.ts'
import type { RowName } from '../world/entries.ts'
import type { Write } from '../writers/log.ts'
import type { State } from './truth.ts'

/** A time in which something is excused; open until it is ended. */
export interface Span {
  readonly kind: 'went back' | 'silent' | 'new incarnation' | 'log locked'
  readonly fromMs: number
  toMs: number
  /** Which tables it is about; none: all. */
  readonly tables: readonly string[]
}

export interface Bounds {
  /** As the API is configured. */
  readonly maxStalenessMs: number
}

/** How far apart the API looks at its watermarks. */
const POLL_MS = 250
/** Changes without triggers are noticed by a scan: its period, and time to make it. */
const SCAN_MS = 3_000

/**
 * What the guarantees themselves except: a Redis that was taken back in time, changes that fired
 * no trigger, commits that Postgres itself lost, and locks that an operator takes on the event log.
 */
export class Allowances {
  readonly #bounds: Bounds
  readonly #spans: Span[] = []
  #lost: readonly Write[] = []

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  /** Begins one; whoever began it says when it is over. */
  begin(kind: Span['kind'], ...tables: readonly string[]): Span {
    const span = { kind, fromMs: performance.now(), toMs: Infinity, tables }
    this.#spans.push(span)
    return span
  }

  end(span: Span): void {
    span.toMs = performance.now()
  }

  /** Tells of writes that were committed, or may have been, and are not there any more. */
  lose(writes: readonly Write[]): void {
    this.#lost = writes
  }

  /** Whether the database lost commits in the phase that is judged. */
  get hasNewLife(): boolean {
    return this.#spans.some(({ kind }) => kind === 'new incarnation')
  }

  clear(): void {
    this.#spans.length = 0
    this.#lost = []
  }

  /** The longest that something may have been superseded before a request, and still be fresh. */
  stalestMs({ startMs }: Read): number {
    const ordinary = this.#bounds.maxStalenessMs + POLL_MS
    return this.#during('silent', startMs - SCAN_MS, startMs)
      ? Math.max(ordinary, SCAN_MS)
      : ordinary
  }

  mayHaveGoneBack = ({ startMs, endMs }: Read): boolean => this.#during('went back', startMs, endMs)

  /** Whether a change may have fired no trigger. */
  isSilent = ({
    sentMs,
    ackedMs,
    table,
  }: Pick<State<unknown>, 'sentMs' | 'ackedMs' | 'table'>): boolean =>
    this.#spans.some(
      ({ kind, fromMs, toMs, tables }) =>
        kind === 'silent' &&
        (tables.length === 0 || tables.includes(table ?? '')) &&
        fromMs <= ackedMs &&
        toMs >= sentMs,
    )

  /** Whether writers may have to wait for the event log just now. */
  get isLogLocked(): boolean {
    return this.#spans.some(({ kind, toMs }) => kind === 'log locked' && toMs === Infinity)
  }

  /** Whether a lost commit may have been seen, or may still be remembered as long as anything may. */
  mayStillShowLost(write: Write, { startMs }: Read): boolean {
    return (
      this.#lost.includes(write) &&
      this.#spans.some(
        ({ kind, toMs }) =>
          kind === 'new incarnation' && startMs <= toMs + this.#bounds.maxStalenessMs + POLL_MS,
      )
    )
  }

  /** Whether a row may show, or not, because of a lost commit to any of the tables that decide it. */
  mayShowLost(row: RowName, read: Read): boolean {
    const tables = [row.split(' ')[0], ...read.entry.shows.map(({ table }) => table)]
    return this.#lost.some(
      (write) =>
        [...write.touched].some((touched) => tables.includes(touched.split(' ')[0])) &&
        write.sentMs <= read.endMs &&
        this.mayStillShowLost(write, read),
    )
  }

  #during = (kind: Span['kind'], fromMs: number, toMs: number): boolean =>
    this.#spans.some((span) => span.kind === kind && span.fromMs <= toMs && span.toMs >= fromMs)
}
