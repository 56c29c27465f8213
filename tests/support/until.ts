import { setTimeout as sleep } from 'node:timers/promises'

/** Longer than the time-out of any test. */
const IN_VAIN_MS = 300_000
const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 100
/** A wait takes at most this share longer than necessary. */
const PAUSE_SHARE = 0.05

/**
 * Waits until a condition holds. Mocha's time-out normally ends the wait. The pauses between checks grow
 * with the wait, because frequent checks would slow down what it waits for. So it may miss a condition
 * that holds only for a moment.
 * @throws after 5 min, so that a failed test does not keep its process alive.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const startedAtMs = performance.now()
  while (!(await condition())) {
    const waitedMs = performance.now() - startedAtMs
    if (waitedMs > IN_VAIN_MS) throw new Error('the condition did not hold within 5 min')
    await sleep(Math.min(Math.max(FIRST_PAUSE_MS, PAUSE_SHARE * waitedMs), LONGEST_PAUSE_MS))
  }
}
