import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 5

/** Waits for something to become true (or any other truthy answer), and fails when it does not. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 10_000,
): Promise<T> {
  const giveUpAtMs = performance.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > giveUpAtMs) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await sleep(LOOK_EVERY_MS)
  }
}
