import { includes, type ReadSnapshot, type Snapshot } from '../db/event-log/index.ts'

/**
 * Flushes that are owed because someone emptied the log by hand, which raises no retention floor.
 *
 * A flush is owed until a watermark was stored with it, even if attempts fail. It is owed to every
 * resource of the catalog, since this replica may later acquire a resource that another one owns now.
 * Use one instance for all sessions of a process, to detect a log that was emptied between sessions.
 */
export interface OwedFlushes {
  /**
   * Compares the log with that of the previous call. Returns whether it was emptied by hand
   * meanwhile.
   */
  observe(readSnapshot: ReadSnapshot): boolean
  has(resource: string): boolean
  /** Records that a flush was stored together with this snapshot. */
  markFlushed(resource: string, snapshot: Snapshot): void
}

export function createOwedFlushes(catalog: readonly { readonly name: string }[]): OwedFlushes {
  /** Snapshot that the flush of each resource must include. */
  const owed = new Map<string, Snapshot>()
  let last: ReadSnapshot | undefined

  return {
    observe(readSnapshot) {
      // A new incarnation flushes every resource, so nothing older is owed.
      if (last?.database.incarnation !== readSnapshot.database.incarnation) owed.clear()
      const isEmptied = last !== undefined && isEmptiedByHand(last, readSnapshot)
      if (isEmptied) for (const { name } of catalog) owed.set(name, readSnapshot.snapshot)
      last = readSnapshot
      return isEmptied
    },
    has: (resource) => owed.has(resource),
    markFlushed(resource, snapshot) {
      const least = owed.get(resource)
      if (least && includes(snapshot, least)) owed.delete(resource)
    },
  }
}

/** Segments have other files, but the floor was not raised: pruning did not do this. */
const isEmptiedByHand = (before: ReadSnapshot, now: ReadSnapshot): boolean =>
  before.database.incarnation === now.database.incarnation &&
  before.files !== now.files &&
  before.retentionFloor?.text === now.retentionFloor?.text
