import { setTimeout as sleep } from 'node:timers/promises'

/** Longer than the time-out of any test. */
const IN_VAIN_MS = 300_000

/**
 * Waits until a condition holds. Mocha's time-out normally ends the wait.
 * @throws after 5 min, so that a failed test does not keep its process alive.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const inVainAtMs = performance.now() + IN_VAIN_MS
  while (!(await condition())) {
    if (performance.now() > inVainAtMs) throw new Error('the condition did not hold within 5 min')
    await sleep(5)
  }
}
