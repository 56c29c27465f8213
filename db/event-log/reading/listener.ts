import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import createSubscriber, { type Subscriber } from 'pg-listen'
import { clientConfig, explainConnectionError } from '../connection/connection.ts'
import { parseDatabaseUrl } from '../connection/database-url.ts'
import { ConfiguredConnection } from '../connection/configured-connection.ts'
import { NOTIFY_CHANNEL } from './event.ts'
import { backOffMs } from '../connection/back-off.ts'

/**
 * Receives wake-ups (NOTIFY). They are only hints: after a lost wake-up the next window still returns
 * the event.
 */
export interface Listener extends AsyncDisposable {
  /** False while notifications are not received. */
  readonly connected: boolean
}

export interface ListenerOptions {
  readonly url: string
  readonly applicationName: string
  /** Called for a wake-up, or if one may have been lost. */
  readonly onNotify: () => void
  readonly onState: (connected: boolean, error?: unknown) => void
}

// The package's types name the module as its default export's namespace.
const subscribe = createSubscriber as unknown as typeof createSubscriber.default

const PING_EVERY_MS = 3_000
/** A stopped process must not block the cleanup of the NOTIFY queue. */
const SETTINGS = `set idle_session_timeout = '10s'; set statement_timeout = 0; set lock_timeout = 0`
const PINGS_TO_MISS = 2
const PING = 'ping '
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000

/**
 * Listens until it is disposed: connects in the background, and again after every loss. It notifies
 * itself on its channel every few seconds. If these notifications do not arrive, it reconnects, even
 * if the connection seems healthy.
 */
export function openListener({
  url,
  applicationName,
  onNotify,
  onState,
}: ListenerOptions): Listener {
  let connected = false
  const stop = new AbortController()
  let current: Subscriber | undefined
  const ping = PING + randomUUID()
  let missed = 0

  const setConnected = (state: boolean, error?: unknown) => {
    if (stop.signal.aborted) return
    if (state !== connected) {
      connected = state
      onState(state, error)
    }
    // After a reconnect, wake-ups may have been lost, so the invalidator must poll. After a loss, an
    // idle invalidator must stop relying on wake-ups.
    onNotify()
  }

  const connect = async (): Promise<void> => {
    for (let attempt = 0; !stop.signal.aborted; attempt++) {
      const subscriber = createOne()
      try {
        await subscriber.connect()
        await subscriber.listenTo(NOTIFY_CHANNEL)
        current = subscriber
        missed = 0
        if (stop.signal.aborted) await subscriber.close()
        else setConnected(true)
        return
      } catch (error) {
        setConnected(false, explainConnectionError(error))
        // Not awaited: closing may hang if the server is unreachable.
        subscriber.close().catch(() => undefined)
        await sleep(backOffMs(attempt + 1, RETRY_FIRST_MS, RETRY_MAX_MS), undefined, {
          signal: stop.signal,
        }).catch(() => undefined)
      }
    }
  }

  const createOne = (): Subscriber => {
    const config = clientConfig(parseDatabaseUrl(url), {
      applicationName,
      connectTimeoutMs: 3_000,
      queryTimeoutMs: 2_000,
    })
    const configured = { ...config, connection: new ConfiguredConnection(config, SETTINGS) }
    const subscriber = subscribe(configured, {
      // Any role may send a payload, and the default parser would throw unless it is JSON.
      parse: (text: string) => text,
      serialize: String,
      // The library counts from one and stops before the limit, so 1 disables its reconnecting. That
      // cannot be cancelled, and its state does not show whether the connection listens.
      retryLimit: 1,
      paranoidChecking: false,
    })
    subscriber.notifications.on(NOTIFY_CHANNEL, (payload: string | undefined) => {
      if (payload === ping) missed = 0
      // Ignores the pings of other listeners.
      else if (!payload?.startsWith(PING)) onNotify()
    })
    subscriber.events.on('error', (error) => reconnect(subscriber, error))
    return subscriber
  }

  /** Closes the connection and opens another one. */
  function reconnect(subscriber: Subscriber, error: unknown): void {
    if (subscriber !== current || stop.signal.aborted) return
    setConnected(false, error)
    current = undefined
    subscriber.close().catch(() => undefined)
    connecting = connect()
  }

  let connecting = connect()
  const pinging = setInterval(() => {
    const subscriber = current
    if (!subscriber) return
    if (missed++ === PINGS_TO_MISS)
      reconnect(subscriber, new Error('did not receive its own notifications'))
    else subscriber.notify(NOTIFY_CHANNEL, ping).catch((error) => reconnect(subscriber, error))
  }, PING_EVERY_MS)

  return {
    get connected() {
      return connected
    },
    async [Symbol.asyncDispose]() {
      clearInterval(pinging)
      stop.abort()
      await connecting
      await current?.close().catch(() => undefined)
    },
  }
}
