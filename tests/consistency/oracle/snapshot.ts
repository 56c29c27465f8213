/** A `pg_snapshot`, parsed by the checker's own code. */
export interface Seen {
  readonly text: string
  readonly xmax: bigint
  readonly inProgress: ReadonlySet<bigint>
}

/** Parses `xmin:xmax:xip,...`. Returns `null` for an empty or invalid snapshot. */
export function readSnapshot(text: string): Seen | null {
  const [, xmax = '', list = ''] = text.split(':')
  if (!/^[1-9]\d*$/.test(xmax)) return null
  return {
    text,
    xmax: BigInt(xmax),
    inProgress: new Set(list === '' ? [] : list.split(',').map(BigInt)),
  }
}

export const hasSeen = ({ xmax, inProgress }: Seen, xid: bigint): boolean =>
  xid < xmax && !inProgress.has(xid)

/** Whether `later` includes all transactions that `earlier` includes. */
export const isPast = (later: Seen, earlier: Seen): boolean =>
  later.xmax >= earlier.xmax &&
  [...later.inProgress].every((xid) => xid >= earlier.xmax || earlier.inProgress.has(xid))

/** The parts of a watermark that the checker uses. In Redis it has seven words. */
export interface Mark {
  readonly incarnation: string
  readonly seen: Seen
  /** 0 if the resource is disabled. */
  readonly keyVersion: number
}

/** Parses a watermark. Returns `null` if it is invalid. */
export function readMark(text: string | undefined): Mark | null {
  const words = text?.split(' ') ?? []
  const [incarnation, , snapshot = '', , , keyVersion] = words
  const seen = readSnapshot(snapshot)
  return incarnation && seen && words.length === 7
    ? { incarnation, seen, keyVersion: Number(keyVersion) }
    : null
}
