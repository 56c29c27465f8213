import type { Observer } from '../observer.ts'
import type { Read } from '../readers/read.ts'
import type { RowName } from '../world/entries.ts'
import type { WriteLog } from '../writers/log.ts'
import type { Allowances } from './allowances.ts'
import type { State, Timeline, Truth } from './truth.ts'

/** Numbers of docs/guarantees.md. */
export type Guarantee = 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'G6' | 'G7'

/** A violated guarantee, with its proof. */
export interface Violation {
  readonly guarantee: Guarantee
  readonly what: string
  readonly timeline: readonly string[]
}

export interface CheckDeps {
  readonly truth: Truth
  readonly log: WriteLog
  readonly observer: Pick<Observer, 'hadSeen'>
  readonly allowances: Allowances
}

export interface Verdict {
  readonly violations: readonly Violation[]
  /** Number of checked rows, present or absent, over all answers. */
  readonly checks: number
  /** The longest time between the superseding of a value and a request that received it as fresh. */
  readonly worstMs: number
}

/** Compares the answers that readers received with the history. */
export function checkReads(reads: readonly Read[], deps: CheckDeps): Verdict {
  const { truth, log, observer, allowances } = deps
  const violations: Violation[] = []
  let checks = 0
  let worstMs = 0

  for (const read of reads) {
    const shown = new Map<RowName, string>()
    for (const version of read.versions) {
      const row = truth.rowOf(version)
      if (row === undefined) checkUncommitted(read, version)
      else if (shown.has(row)) {
        fail(read, 'G2', `shows ${row} as ${shown.get(row)} and as ${version}`, truth.versions(row))
      } else shown.set(row, version)
    }
    for (const [row, version] of shown) check(read, row, version, truth.versions(row))
    for (const [row, timeline] of truth.presence(read.entry)) {
      // A lost commit may have added or removed the row without leaving a version.
      if (allowances.mayHaveLostPresence(row, read)) continue
      check(read, row, shown.has(row), timeline)
    }
  }
  return { violations, checks, worstMs }

  /** Checks a version that is not in the history: rolled back, or lost in a crash. */
  function checkUncommitted(read: Read, version: string): void {
    checks++
    const write = log.byVersion(version)
    const isLost =
      write !== undefined &&
      write.outcome !== 'rolled back' &&
      write.sentMs <= read.endMs &&
      allowances.mayShowLostVersion(write, read)
    if (!isLost) {
      const what = `shows ${version}, which was never committed (${write?.outcome ?? 'unknown'})`
      fail(read, 'G2', what, [])
    }
  }

  function check<T>(read: Read, row: RowName, value: T, timeline: Timeline<T>): void {
    checks++
    const newest = lastSentBefore(timeline, read.endMs)
    let at = newest
    while (at >= 0 && timeline[at]?.value !== value) at--
    const title = `shows ${row}: ${String(value)}`
    if (at < 0) {
      return fail(read, 'G2', `${title}, before that value was written, or it never was`, timeline)
    }
    if (at === newest) return
    // All later states differ. The earliest acknowledged one superseded the shown value.
    const later = timeline.slice(at + 1, newest + 1)
    const supersededMs = Math.min(...later.map(({ ackedMs }) => ackedMs))
    const staleMs = Math.max(0, read.startMs - supersededMs)
    if (read.origin === 'loaded') {
      if (staleMs > 0) {
        fail(read, 'G2', `${title}, loaded ${ms(staleMs)} after it was superseded`, timeline)
      }
      return
    }
    const { token } = read
    const ignoredWrite =
      token &&
      later.find(
        (state) =>
          (state.write === token.write || state.ackedMs <= token.askedMs) &&
          !allowances.isSilent(state),
      )
    if (ignoredWrite) {
      fail(read, 'G3', `${title}, despite a token from a later write`, timeline)
    }
    const applied = later.find(
      ({ incarnation, xid, ...state }) =>
        incarnation !== null &&
        xid !== null &&
        !allowances.isSilent(state) &&
        !allowances.mayHaveGoneBack(read) &&
        observer.hadSeen(read.entry.resource, incarnation, xid, read.startMs),
    )
    if (applied) {
      const what = `${title}, although transaction ${applied.xid} had been applied before`
      fail(read, 'G1', what, timeline)
    }
    // A stand-in reports that it is stale.
    if (read.origin === 'stand-in') return
    worstMs = Math.max(worstMs, staleMs)
    if (staleMs > allowances.stalestMs(read)) {
      fail(read, 'G2', `${title}, ${ms(staleMs)} after it was superseded`, timeline)
    }
  }

  function fail<T>(read: Read, guarantee: Guarantee, what: string, timeline: Timeline<T>): void {
    const near = lastSentBefore(timeline, read.endMs)
    violations.push({
      guarantee,
      what: `${read.entry.path} ${what}`,
      timeline: [
        `asked ${ms(read.startMs)}, answered ${ms(read.endMs)} by API ${read.api}: ${read.cacheStatus}`,
        ...(read.token
          ? [`token of write ${read.token.write.number}, asked ${ms(read.token.askedMs)}`]
          : []),
        ...timeline.slice(Math.max(0, near - 4), near + 3).map(describe),
      ],
    })
  }
}

function describe<T>({ value, sentMs, ackedMs, xid, write }: State<T>): string {
  const by = write ? `write ${write.number} (${write.door}, ${write.outcome})` : 'initial data'
  return `${String(value)}: by ${by}, transaction ${xid ?? '-'}, sent ${ms(sentMs)}, answered ${ms(ackedMs)}`
}

const ms = (time: number) => `${time.toFixed(1)} ms`

/** Returns the index of the newest state that a reader can have seen by then. Times of concurrent writers may not be in order. */
function lastSentBefore<T>(timeline: Timeline<T>, atMs: number): number {
  return timeline.findLastIndex(({ sentMs }) => sentMs <= atMs)
}
