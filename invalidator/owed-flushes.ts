import { includes, type Snapshot } from '../db/event-log/snapshot.ts'
import type { ReadSnapshot } from '../db/event-log/window.ts'

/**
 * Flushes that no stored watermark asks for: the log lost events that no floor accounts for.
 *
 * A flush is owed until a watermark was stored with it, whatever fails before. It is owed to every
 * resource of the catalog, since one that another replica owns now may be taken over later. Use one
 * for all sessions of a process: a log emptied while there is no session is noticed too.
 */
export interface OwedFlushes {
  /** Compares the log with the one of the call before. Answers whether it was emptied by hand meanwhile. */
  observe(readSnapshot: ReadSnapshot): boolean
  has(resource: string): boolean
  /** A flush was stored together with this snapshot. */
  markFlushed(resource: string, snapshot: Snapshot): void
}

export function createOwedFlushes(catalog: readonly { readonly name: string }[]): OwedFlushes {
  /** The snapshot that the flush of a resource has to include. */
  const owed = new Map<string, Snapshot>()
  let last: ReadSnapshot | undefined

  return {
    observe(readSnapshot) {
      // Every watermark of another incarnation descends from a flush in that incarnation.
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

/** Pruning gives one segment another file and raises the floor in the same transaction. */
const isEmptiedByHand = (before: ReadSnapshot, now: ReadSnapshot): boolean =>
  before.database.incarnation === now.database.incarnation &&
  before.files !== now.files &&
  before.retentionFloor?.text === now.retentionFloor?.text
