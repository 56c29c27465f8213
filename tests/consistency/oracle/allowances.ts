import type { Read } from '../readers/read.ts'
import type { RowName } from '../world/entries.ts'
import type { Write } from '../writers/log.ts'
import type { State } from './truth.ts'

/** A period in which an exception applies. It is open until `end()`. */
export interface Span {
  readonly kind: 'went back' | 'silent' | 'new incarnation' | 'log locked'
  readonly fromMs: number
  toMs: number
  /** Affected tables; empty for all. */
  readonly tables: readonly string[]
}

export interface Bounds {
  /** `MAX_STALENESS_MS` of the API. */
  readonly maxStalenessMs: number
}

/** Interval at which the API polls watermarks. */
const POLL_MS = 250
/** An inspection detects changes without triggers. Its interval plus its duration. */
const INSPECTION_MS = 3_000

/**
 * Exceptions of the guarantees: a Redis with older data, changes that fire no trigger, commits that
 * Postgres lost, and an operator's locks on the event log.
 */
export class Allowances {
  readonly #bounds: Bounds
  readonly #spans: Span[] = []
  #lost: readonly Write[] = []

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  /** Begins a span. The caller ends it. */
  begin(kind: Span['kind'], ...tables: readonly string[]): Span {
    const span = { kind, fromMs: performance.now(), toMs: Infinity, tables }
    this.#spans.push(span)
    return span
  }

  end(span: Span): void {
    span.toMs = performance.now()
  }

  /** Records writes that were or may have been committed, and that the database has lost. */
  lose(writes: readonly Write[]): void {
    this.#lost = writes
  }

  /** Whether the database may have lost commits in the current phase. */
  get hasNewIncarnation(): boolean {
    return this.#spans.some(({ kind }) => kind === 'new incarnation')
  }

  clear(): void {
    this.#spans.length = 0
    this.#lost = []
  }

  /** Returns how long before the request a value may have been superseded and still be served as fresh, in ms. */
  stalestMs({ startMs }: Read): number {
    const ordinary = this.#bounds.maxStalenessMs + POLL_MS
    return this.#during('silent', startMs - INSPECTION_MS, startMs)
      ? Math.max(ordinary, INSPECTION_MS)
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

  /** Whether an operator currently locks the event log, so that writers may wait. */
  get isLogLocked(): boolean {
    return this.#spans.some(({ kind, toMs }) => kind === 'log locked' && toMs === Infinity)
  }

  /** Whether an answer may show a lost commit, which caches may keep up to the staleness bound. */
  mayShowLostVersion(write: Write, { startMs }: Read): boolean {
    return (
      this.#lost.includes(write) &&
      this.#spans.some(
        ({ kind, toMs }) =>
          kind === 'new incarnation' && startMs <= toMs + this.#bounds.maxStalenessMs + POLL_MS,
      )
    )
  }

  /** Whether a lost commit to one of the tables that decide it may have changed the presence of a row. */
  mayHaveLostPresence(row: RowName, read: Read): boolean {
    const tables = [row.split(' ')[0], ...read.entry.shows.map(({ table }) => table)]
    return this.#lost.some(
      (write) =>
        [...write.touched].some((touched) => tables.includes(touched.split(' ')[0])) &&
        write.sentMs <= read.endMs &&
        this.mayShowLostVersion(write, read),
    )
  }

  #during = (kind: Span['kind'], fromMs: number, toMs: number): boolean =>
    this.#spans.some((span) => span.kind === kind && span.fromMs <= toMs && span.toMs >= fromMs)
}
