import type { Change } from './types.ts'

/** The changes since the previous delivery. A reader that joins receives the last changes first. */
export interface Delivery {
  readonly changes: readonly Change[]
  /** Changes that the invalidator has counted but not sent. */
  readonly skipped: number
  readonly isConnected: boolean
}

export type Receive = (delivery: Delivery) => void

/** One connection to `/events` for any number of readers. It is open while there is a reader. */
export interface ChangeStream {
  /** Calls `receive` until the returned function is called. */
  join(receive: Receive): () => void
}

/** As many as the invalidator keeps. */
const KEPT = 500
/** Shortest time between two deliveries: each makes every page draw. */
const DELIVER_EVERY_MS = 250
/** At more than 50 changes a second, more than a person can read, pages draw once a second. */
const PAUSE_PER_CHANGE_MS = 20
const LONGEST_PAUSE_MS = 1_000
const RETRY_MS = 1_000

/** Creates a stream of this address. */
export function createChangeStream(address: string): ChangeStream {
  const readers = new Set<Receive>()
  let recent: Change[] = []
  let changes: Change[] = []
  let skipped = 0
  let isConnected = false
  let isDue = false
  let notBeforeMs = 0
  let source: EventSource | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  let timer: ReturnType<typeof setInterval> | undefined

  function deliver(): void {
    if (!isDue) return
    notBeforeMs =
      performance.now() + Math.min(PAUSE_PER_CHANGE_MS * changes.length, LONGEST_PAUSE_MS)
    const delivery = { changes, skipped, isConnected }
    isDue = false
    changes = []
    skipped = 0
    for (const receive of readers) receive(delivery)
  }

  function setConnected(connected: boolean): void {
    isConnected = connected
    isDue = true
  }

  function connect(): void {
    const opened = new EventSource(`${address}?history=${KEPT}`)
    source = opened
    opened.addEventListener('change', ({ data }: MessageEvent<string>) => {
      const change = JSON.parse(data) as Change
      changes.push(change)
      recent.push(change)
      if (recent.length > 2 * KEPT) recent = recent.slice(-KEPT)
      isDue = true
    })
    opened.addEventListener('skipped', ({ data }: MessageEvent<string>) => {
      skipped += (JSON.parse(data) as { readonly count: number }).count
      isDue = true
    })
    opened.addEventListener('ready', () => setConnected(true))
    opened.addEventListener('error', () => {
      setConnected(false)
      // A browser does not retry after an answer such as 503, with which an invalidator begins.
      if (opened.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY_MS)
    })
  }

  function close(): void {
    clearInterval(timer)
    clearTimeout(retry)
    source?.close()
    recent = []
    changes = []
    skipped = 0
    isConnected = false
    isDue = false
  }

  return {
    join(receive) {
      if (readers.size === 0) {
        timer = setInterval(() => {
          if (performance.now() >= notBeforeMs) deliver()
        }, DELIVER_EVERY_MS)
        connect()
      }
      // For this reader, changes that wait for the others are a part of the last changes.
      deliver()
      readers.add(receive)
      receive({ changes: recent.slice(-KEPT), skipped: 0, isConnected })
      return () => {
        if (readers.delete(receive) && readers.size === 0) close()
      }
    },
  }
}
