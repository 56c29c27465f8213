import { setTimeout as sleep } from 'node:timers/promises'

export type OpenLoopOptions = {
  readonly perS: number
} & ({ readonly seconds: number } | { readonly until: AbortSignal })

/** Timers come up to a millisecond late: the rest is spent looking at the clock. */
const EARLY_MS = 1.5

/**
 * Asks at a fixed rate that waits for nobody: a driver that waits hides the queue it made.
 * Answers with each latency in milliseconds, from the moment its request was due; without those
 * that `ask` answers with `false`.
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
