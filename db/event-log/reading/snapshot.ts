/** Which transactions a snapshot includes. */
export interface Visibility {
  /** Transactions with this id or a higher one are not visible, even if they have ended. */
  readonly xmax: bigint
  /** Ids below `xmax` of transactions that were in progress. */
  readonly xip: readonly bigint[]
}

/** A `pg_snapshot`, printed as `xmin:xmax:xip,xip`. */
export interface Snapshot extends Visibility {
  /** All transactions with lower ids had ended. */
  readonly xmin: bigint
  readonly text: string
}

const SHAPE = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/

/** Parses the text form of a `pg_snapshot`. Returns `null` for other text. */
export function parseSnapshot(text: string): Snapshot | null {
  const match = SHAPE.exec(text)
  if (!match) return null
  const [, xmin, xmax, xip] = match as unknown as [string, string, string, string]
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    xip: xip === '' ? [] : xip.split(',').map(BigInt),
    text,
  }
}

/** Whether every transaction that is visible in `earlier` is visible in `later`. */
export function includes(later: Visibility, earlier: Visibility): boolean {
  if (later.xmax < earlier.xmax) return false
  const earlierInProgress = new Set(earlier.xip)
  return later.xip.every((xid) => xid >= earlier.xmax || earlierInProgress.has(xid))
}
