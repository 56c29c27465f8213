import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'winston'
import type {
  Advance,
  AdvanceReport,
  InvalidationStore,
} from '../shared/cache/invalidation-store.ts'

/**
 * One advance of one resource that takes many scripts, applied beside the windows of the others.
 *
 * It stores the snapshot of the window that asked for it, and only at its end. Until then the
 * resource keeps its old watermark and no window is read for it, so it has one sequence of
 * snapshots as before: afterwards it goes on with a window since that snapshot. Each script compares the
 * watermark, so whatever a pass still sends after its resource has gone to another owner does nothing
 * once that one has written; and before, what it stores is true.
 */
export interface Pass {
  readonly advance: Advance
  /** By `performance.now()`, before its snapshot was taken. */
  readonly startedAtMs: number
  /** `undefined` while it goes on; `null` when it failed and the stored watermark has to be read again. */
  readonly outcome: AdvanceReport | null | undefined
  /** Never rejects. */
  readonly ended: Promise<void>
  /** Sends no further script. */
  abort(): void
}

export interface PassesDeps {
  readonly invalidationStore: Pick<InvalidationStore, 'apply'>
  /** The session that holds the owner locks is gone. */
  readonly lost: AbortSignal
  readonly logger: Logger
  /** Called at the end of each pass: its resource waits for a window. */
  readonly onEnd: () => void
}

const BACKOFF_FIRST_MS = 20
const BACKOFF_MAX_MS = 1_000

/** Begins passes. One that fails ends only after a pause, since its resource begins again at once. */
export function createPasses({ invalidationStore, lost, logger, onEnd }: PassesDeps): {
  begin(advance: Advance, startedAtMs: number): Pass
} {
  const failures = new Map<string, number>()

  async function run(advance: Advance, aborted: AbortSignal): Promise<AdvanceReport | null> {
    const { name } = advance.resource
    try {
      const report = await invalidationStore.apply([advance], async () => aborted.throwIfAborted())
      failures.delete(name)
      return report
    } catch (error) {
      if (aborted.aborted) return null
      const count = failures.get(name) ?? 0
      failures.set(name, count + 1)
      if (count === 0) logger.warn('a flush failed, will retry', { resource: name, error })
      const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(count, 10))
      await sleep(delayMs, undefined, { signal: aborted }).catch(() => undefined)
      return null
    }
  }

  return {
    begin(advance, startedAtMs) {
      const abortion = new AbortController()
      const abort = () => abortion.abort()
      lost.addEventListener('abort', abort, { once: true })
      if (lost.aborted) abort()
      let outcome: Pass['outcome']
      const ended = run(advance, abortion.signal).then((report) => {
        lost.removeEventListener('abort', abort)
        outcome = report
        onEnd()
      })
      return {
        advance,
        startedAtMs,
        ended,
        abort,
        get outcome() {
          return outcome
        },
      }
    },
  }
}
