import type { ServerResponse } from 'node:http'
import { setInterval } from 'node:timers'
import type { Batch, ChangeFeed, NumberedChange } from './change-feed.ts'
import { type ChangeFilter, matches } from './change-filter.ts'

/** Streams of changes to clients. */
export interface Streams {
  /** Sends the last `history` changes, and those to come, until the client disconnects. */
  open(res: ServerResponse, filter: ChangeFilter, history: number): void
  /** Sends changes that another process applied. */
  receive(batch: Batch): void
  readonly count: number
  close(): void
}

/** A client that does not read loses changes instead of filling memory. */
const MAX_BUFFERED_BYTES = 256 * 1024
const PING_MS = 15_000
export const MAX_STREAMS = 100

interface Client {
  readonly res: ServerResponse
  readonly filter: ChangeFilter
  /** Changes that were not sent since the last message. */
  skipped: number
}

/** Creates the streams of a feed. They subscribe to it while there is a client. */
export function createStreams(feed: ChangeFeed): Streams {
  const clients = new Set<Client>()
  let unsubscribe: (() => void) | undefined
  /** Without filters, all clients get the same text. */
  let text: { readonly of: Batch; readonly text: string } | undefined
  const ping = setInterval(() => {
    for (const { res } of clients) res.write(': ping\n\n')
  }, PING_MS).unref()

  function textOf(batch: Batch, filter: ChangeFilter): string {
    if (filter.table !== null || filter.resource !== null || filter.key !== null) {
      return batch.changes
        .filter(({ change }) => matches(change, filter))
        .map(asEvent)
        .join('')
    }
    if (text?.of !== batch) text = { of: batch, text: batch.changes.map(asEvent).join('') }
    return text.text
  }

  function receive(batch: Batch): void {
    for (const client of clients) {
      const { res, filter } = client
      client.skipped += batch.skipped
      if (res.writableLength > MAX_BUFFERED_BYTES) {
        client.skipped += batch.changes.length
        continue
      }
      const changes = textOf(batch, filter)
      const skipped =
        client.skipped === 0 ? '' : `event: skipped\ndata: {"count":${client.skipped}}\n\n`
      client.skipped = 0
      if (changes !== '' || skipped !== '') res.write(changes + skipped)
    }
  }

  return {
    open(res, filter, history) {
      const client: Client = { res, filter, skipped: 0 }
      res.on('close', () => {
        clients.delete(client)
        if (clients.size > 0) return
        unsubscribe?.()
        unsubscribe = undefined
      })
      res.on('error', () => {})
      const recent = feed.recent().filter(({ change }) => matches(change, filter))
      res.write(
        `retry: 1000\n\n${history === 0 ? '' : recent.slice(-history).map(asEvent).join('')}event: ready\ndata: {}\n\n`,
      )
      clients.add(client)
      unsubscribe ??= feed.subscribe(receive)
    },
    receive,
    get count() {
      return clients.size
    },
    close() {
      clearInterval(ping)
      for (const { res } of clients) res.end()
    },
  }
}

const asEvent = ({ json }: NumberedChange) => `event: change\ndata: ${json}\n\n`
