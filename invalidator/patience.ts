import { setTimeout as sleep } from 'node:timers/promises'

/** Longest wait for a bucket of a cluster. One that takes longer continues beside the others. */
const PATIENCE_MS = 30

/** Waits until all promises have settled, but no longer than `PATIENCE_MS`. */
export async function waitPatiently(running: readonly Promise<unknown>[]): Promise<void> {
  if (running.length === 0) return
  const patience = new AbortController()
  await Promise.race([
    Promise.allSettled(running),
    sleep(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined),
  ])
  patience.abort()
}
