/** Which transactions could be seen. */
export interface Visibility {
  /** Nothing at or above can be seen, even if it has ended. */
  readonly xmax: bigint
  /** Still in progress below `xmax`. */
  readonly xip: readonly bigint[]
}

/** A `pg_snapshot`, printed as `xmin:xmax:xip,xip`. */
export interface Snapshot extends Visibility {
  /** Everything below has ended. */
  readonly xmin: bigint
  readonly text: string
}

const SHAPE = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/

/** Reads Postgres' text form; `null` for anything else. */
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

/** Whether everything that could be seen in `earlier` can be seen in `later`. */
export function includes(later: Visibility, earlier: Visibility): boolean {
  if (later.xmax < earlier.xmax) return false
  const earlierInProgress = new Set(earlier.xip)
  return later.xip.every((xid) => xid >= earlier.xmax || earlierInProgress.has(xid))
}
