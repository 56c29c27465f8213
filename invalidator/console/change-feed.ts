import type { Change } from './change.ts'

/** A change, and its position among those of this process. */
export interface NumberedChange {
  readonly seq: number
  readonly change: Change
  /** The change as JSON, made once for all subscribers. */
  readonly json: string
}

/** Changes since the previous batch. */
export interface Batch {
  readonly changes: readonly NumberedChange[]
  /** Number of changes that were not recorded. */
  readonly skipped: number
}

/** The last changes, and those to come. */
export interface ChangeFeed {
  add(changes: readonly Change[], skipped: number): void
  /** Returns the last changes, the oldest first. */
  recent(): readonly NumberedChange[]
  /** Calls `receive` with each batch until the returned function is called. */
  subscribe(receive: (batch: Batch) => void): () => void
  readonly subscribers: number
}

const KEPT = 500
/** Changes of this time are sent together. */
const BATCH_MS = 100
/** Batches are not longer than what is kept. */
const MAX_BATCH = KEPT

/** Creates a feed. It holds the last 500 changes, so its memory is bounded. */
export function createChangeFeed(): ChangeFeed {
  let kept: NumberedChange[] = []
  let batch: NumberedChange[] = []
  let skippedInBatch = 0
  let seq = 0
  let timer: NodeJS.Timeout | undefined
  const subscribers = new Set<(batch: Batch) => void>()

  function send(): void {
    timer = undefined
    const sent = { changes: batch, skipped: skippedInBatch }
    batch = []
    skippedInBatch = 0
    for (const receive of subscribers) receive(sent)
  }

  return {
    add(changes, skipped) {
      if (changes.length === 0 && skipped === 0) return
      const numbered = changes.map((change) => number(change, ++seq))
      kept.push(...numbered)
      if (kept.length > 2 * KEPT) kept = kept.slice(-KEPT)
      if (subscribers.size === 0) return
      batch.push(...numbered)
      skippedInBatch += skipped
      if (batch.length > MAX_BATCH) {
        skippedInBatch += batch.length - MAX_BATCH
        batch = batch.slice(-MAX_BATCH)
      }
      timer ??= setTimeout(send, BATCH_MS).unref()
    },
    recent: () => kept.slice(-KEPT),
    subscribe(receive) {
      subscribers.add(receive)
      return () => {
        subscribers.delete(receive)
        if (subscribers.size > 0) return
        clearTimeout(timer)
        timer = undefined
        batch = []
        skippedInBatch = 0
      }
    },
    get subscribers() {
      return subscribers.size
    },
  }
}

function number(change: Change, seq: number): NumberedChange {
  let json: string | undefined
  return {
    seq,
    change,
    get json() {
      return (json ??= JSON.stringify(change))
    },
  }
}
