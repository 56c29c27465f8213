import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface OpenLoopOptions {
  readonly origin: string
  /** Asked for one after the other. */
  readonly paths: readonly string[]
  readonly perS: number
  readonly seconds: number
}

/** Timers come up to a millisecond late: the rest is spent looking at the clock. */
const EARLY_MS = 1.5

/**
 * Asks at a fixed rate that waits for nobody: a driver that waits hides the queue it made.
 * Answers with each latency in milliseconds, from the moment its request was due.
 */
export async function openLoop({
  origin,
  paths,
  perS,
  seconds,
}: OpenLoopOptions): Promise<number[]> {
  const agent = new Agent({ keepAlive: true })
  const startMs = performance.now() + 50
  const answers: Promise<number>[] = []
  for (let i = 0; i < perS * seconds; i++) {
    const dueMs = startMs + (i * 1000) / perS
    await until(dueMs)
    const url = `${origin}${paths[i % paths.length]}`
    const answer = ask(url, agent).then(() => performance.now() - dueMs)
    answer.catch(() => {})
    answers.push(answer)
  }
  try {
    return await Promise.all(answers)
  } finally {
    agent.destroy()
  }
}

async function until(dueMs: number): Promise<void> {
  const leftMs = dueMs - performance.now()
  if (leftMs > EARLY_MS) await sleep(leftMs - EARLY_MS)
  while (performance.now() < dueMs) await new Promise(setImmediate)
}

function ask(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url}: ${response.statusCode}`))
      response.on('end', resolve).on('error', reject).resume()
    }).on('error', reject)
  })
}
