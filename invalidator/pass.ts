import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'winston'
import type { Advance, AdvanceReport, InvalidationStores } from '../shared/cache/index.ts'
import { backOffMs } from '../db/event-log/index.ts'
import type { FlushReason } from './mapping.ts'

/**
 * One advance of one resource that takes many scripts, applied beside the windows of the others.
 *
 * A pass stores the snapshot of the window that required it, and only at its end. Until then the resource
 * keeps its old watermark and no window is read for it. Afterwards its next window starts at that
 * snapshot, so the resource still has one sequence of snapshots.
 *
 * Each script compares the watermark. So if the resource has moved to another owner, the scripts of a pass
 * do nothing once that owner has written. Before that, everything that they store is true.
 */
export interface Pass {
  readonly advance: Advance
  /** Reason of the flush; `undefined` if the pass deletes entries by key. */
  readonly reason: FlushReason | undefined
  /** `undefined` while it runs; `null` if it failed and the stored watermark must be read again. */
  readonly outcome: AdvanceReport | null | undefined
  /** Never rejects. */
  readonly ended: Promise<void>
  /** Stops the pass: no further script is sent. */
  abort(): void
}

export interface PassesDeps {
  readonly stores: Pick<InvalidationStores, 'at'>
  /** Aborted when the session that holds the owner locks is gone. */
  readonly lost: AbortSignal
  readonly logger: Logger
  /** Called at the end of each pass, because its resource now needs a window. */
  readonly onEnd: () => void
}

const BACKOFF_FIRST_MS = 20
const BACKOFF_MAX_MS = 1_000

export interface Passes {
  begin(bucket: number, advance: Advance, reason: FlushReason | undefined): Pass
  /** Returns the pass of an advance that was sent with the others of its bucket, and takes long. */
  adopt(advance: Advance, applying: Promise<AdvanceReport>): Pass
}

/**
 * Begins passes. A pass that fails ends after a pause, since its resource then starts again at once.
 */
export function createPasses({ stores, lost, logger, onEnd }: PassesDeps): Passes {
  const failures = new Map<string, number>()

  async function run(
    bucket: number,
    advance: Advance,
    aborted: AbortSignal,
  ): Promise<AdvanceReport | null> {
    const { name } = advance.resource
    try {
      const store = stores.at(bucket)
      const report = await store.apply([advance], async () => aborted.throwIfAborted())
      failures.delete(name)
      return report
    } catch (error) {
      if (aborted.aborted) return null
      const count = failures.get(name) ?? 0
      failures.set(name, count + 1)
      if (count === 0) logger.warn('a flush failed, will retry', { resource: name, error })
      const delayMs = backOffMs(count + 1, BACKOFF_FIRST_MS, BACKOFF_MAX_MS)
      await sleep(delayMs, undefined, { signal: aborted }).catch(() => undefined)
      return null
    }
  }

  /** Aborts of the running passes. One listener for all of them: Node warns of more than ten. */
  const aborts = new Set<() => void>()
  lost.addEventListener('abort', () => aborts.forEach((abort) => abort()), { once: true })

  return {
    begin(bucket, advance, reason) {
      const abortion = new AbortController()
      const abort = () => abortion.abort()
      aborts.add(abort)
      if (lost.aborted) abort()
      let outcome: Pass['outcome']
      const ended = run(bucket, advance, abortion.signal).then((report) => {
        aborts.delete(abort)
        outcome = report
        onEnd()
      })
      return {
        advance,
        reason,
        ended,
        abort,
        get outcome() {
          return outcome
        },
      }
    },

    adopt(advance, applying) {
      let outcome: Pass['outcome']
      const ended = applying
        .then(
          (report) => (outcome = report),
          () => (outcome = null),
        )
        .then(onEnd)
      return {
        advance,
        reason: undefined,
        ended,
        // It was sent already.
        abort() {},
        get outcome() {
          return outcome
        },
      }
    },
  }
}
