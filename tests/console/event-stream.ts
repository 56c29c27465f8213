import type { Change } from '../../invalidator/index.ts'

/** An open `/events`. */
export interface EventStream extends AsyncDisposable {
  /** All text that was received. */
  readonly text: string
  readonly changes: readonly Change[]
  readonly isReady: boolean
}

/** Opens `/events` of a console, with a query such as `table=a&history=5`. */
export async function openEventStream(console: string, query = ''): Promise<EventStream> {
  const stop = new AbortController()
  const response = await fetch(`${console}/events?${query}`, { signal: stop.signal })
  let text = ''
  const decoder = new TextDecoder()
  const reading = (async () => {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
    }
  })().catch(() => undefined)
  return {
    get text() {
      return text
    },
    get isReady() {
      return text.includes('event: ready\n')
    },
    get changes() {
      return [...text.matchAll(/^event: change\ndata: (.*)\n\n/gm)].map(
        ([, data]) => JSON.parse(data ?? '') as Change,
      )
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await reading
    },
  }
}
