import { setTimeout as sleep } from 'node:timers/promises'

/** Clients that send the requests of open pages of the console. */
export interface Pages {
  /** Numbers since the start, over all pages. */
  readonly changes: number
  readonly skipped: number
  /** Longest time that an overview took, in ms. */
  readonly slowestMs: number
  close(): Promise<void>
}

const OVERVIEW_EVERY_MS = 2_000

/** Opens pages, each with the stream of the view Live and the requests of the view Overview. */
export function openPages(console: string, count: number): Pages {
  const stop = new AbortController()
  const { signal } = stop
  let changes = 0
  let skipped = 0
  let slowestMs = 0

  async function stream(): Promise<void> {
    const response = await fetch(`${console}/events?history=200`, { signal })
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of response.body ?? []) {
      const messages = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n')
      rest = messages.pop() ?? ''
      for (const message of messages) {
        if (message.startsWith('event: change')) changes++
        const [, missed] = /^event: skipped\ndata: \{"count":(\d+)\}/.exec(message) ?? []
        skipped += Number(missed ?? 0)
      }
    }
  }

  async function poll(): Promise<void> {
    let afterMs = 0
    while (!signal.aborted) {
      const startedAtMs = performance.now()
      const response = await fetch(`${console}/console/overview?after=${afterMs}`, { signal })
      const { points } = (await response.json()) as { readonly points: { readonly atMs: number }[] }
      afterMs = points.at(-1)?.atMs ?? afterMs
      slowestMs = Math.max(slowestMs, performance.now() - startedAtMs)
      await sleep(OVERVIEW_EVERY_MS, undefined, { signal })
    }
  }

  const working = Array.from({ length: count }, () =>
    Promise.all([stream(), poll()]).catch((error: unknown) => {
      if (!signal.aborted) throw error
    }),
  )
  return {
    get changes() {
      return changes
    },
    get skipped() {
      return skipped
    },
    get slowestMs() {
      return slowestMs
    },
    async close() {
      stop.abort()
      await Promise.all(working)
    },
  }
}
