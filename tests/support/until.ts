import { setTimeout as sleep } from 'node:timers/promises'

/** Longer than any test may take. */
const IN_VAIN_MS = 300_000

/**
 * Waits until something is so; mocha's time-out ends a wait in vain.
 * @throws long after that, so that a test that failed does not keep its process alive.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const inVainAtMs = performance.now() + IN_VAIN_MS
  while (!(await condition())) {
    if (performance.now() > inVainAtMs) throw new Error('waited in vain')
    await sleep(5)
  }
}
