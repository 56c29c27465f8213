/** A `pg_snapshot`, read by the checker's own eyes: which transactions had ended. */
export interface Seen {
  readonly text: string
  readonly xmax: bigint
  readonly inProgress: ReadonlySet<bigint>
}

/** Reads `xmin:xmax:xip,...`; `null` for what claims nothing. */
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

/** Whether all that `earlier` has seen, `later` has seen too. */
export const isPast = (later: Seen, earlier: Seen): boolean =>
  later.xmax >= earlier.xmax &&
  [...later.inProgress].every((xid) => xid >= earlier.xmax || earlier.inProgress.has(xid))

/** A watermark as it lies in Redis: seven words, of which these matter here. */
export interface Mark {
  readonly incarnation: string
  readonly seen: Seen
  /** 0: nothing of the resource may be used. */
  readonly keyVersion: number
}

/** Reads one; `null` for what claims nothing. */
export function readMark(text: string | undefined): Mark | null {
  const words = text?.split(' ') ?? []
  const [incarnation, , snapshot = '', , , keyVersion] = words
  const seen = readSnapshot(snapshot)
  return incarnation && seen && words.length === 7
    ? { incarnation, seen, keyVersion: Number(keyVersion) }
    : null
}
