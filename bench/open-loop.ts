import { setTimeout as sleep } from 'node:timers/promises'

export type OpenLoopOptions = {
  readonly perS: number
} & ({ readonly seconds: number } | { readonly until: AbortSignal })

/** Timers fire up to a millisecond late, so the remaining time is spent polling the clock. */
const EARLY_MS = 1.5

/**
 * Sends requests at a fixed rate and does not wait for responses, because a waiting driver hides the
 * queue that it causes. Returns the latencies in milliseconds, each from the moment the request was
 * due. Calls of `ask` that resolve with false do not count.
 */
export async function openLoop(
  options: OpenLoopOptions,
  ask: (index: number) => Promise<boolean | void>,
): Promise<number[]> {
  const { perS } = options
  const isOver = (i: number) =>
    'until' in options ? options.until.aborted : i >= perS * options.seconds
  const startMs = performance.now() + 50
  const answers: Promise<number | null>[] = []
  for (let i = 0; !isOver(i); i++) {
    const dueMs = startMs + (i * 1000) / perS
    await until(dueMs)
    const answer = ask(i).then((counts) => (counts === false ? null : performance.now() - dueMs))
    answer.catch(() => {})
    answers.push(answer)
  }
  return (await Promise.all(answers)).filter((ms) => ms !== null)
}

async function until(dueMs: number): Promise<void> {
  const leftMs = dueMs - performance.now()
  if (leftMs > EARLY_MS) await sleep(leftMs - EARLY_MS)
  while (performance.now() < dueMs) await new Promise(setImmediate)
}
