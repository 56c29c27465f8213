import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until something is so; mocha's time-out ends a wait in vain. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}
