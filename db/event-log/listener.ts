import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import createSubscriber, { type Subscriber } from 'pg-listen'
import { clientConfig, explainConnectionError } from '../connection.ts'
import { parseDatabaseUrl } from '../database-url.ts'
import { ConfiguredConnection } from '../configured-connection.ts'
import { NOTIFY_CHANNEL } from './event.ts'

/** Hears the bell. A hint only: whoever misses a ring finds the event with the next window. */
export interface Listener extends AsyncDisposable {
  /** False while a ring would not be heard. */
  readonly connected: boolean
}

export interface ListenerOptions {
  readonly url: string
  readonly applicationName: string
  /** The bell rang, or may have rung while nobody listened. */
  readonly onNotify: () => void
  readonly onState: (connected: boolean, error?: unknown) => void
}

// The package's types name the module as its default export's namespace.
const subscribe = createSubscriber as unknown as typeof createSubscriber.default

const PING_EVERY_MS = 3_000
/** A process that was stopped must not hold back the queue of notifications. */
const SETTINGS = `set idle_session_timeout = '10s'; set statement_timeout = 0; set lock_timeout = 0`
const PINGS_TO_MISS = 2
const PING = 'ping '
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000

/**
 * Listens for ever: connects in the background, and again after every loss. It rings itself now and
 * then, by the channel that it listens to: whoever does not hear that, hears nothing else either,
 * however sound the connection seems.
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
    // Hearing again: rings from before are lost, and what they announced must be looked for.
    // Deaf: whoever sleeps must know that nothing will wake it.
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
        // Not awaited: it may be saying goodbye to a server that is not there.
        subscriber.close().catch(() => undefined)
        await sleep(retryDelayMs(attempt), undefined, { signal: stop.signal }).catch(
          () => undefined,
        )
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
      // A payload is anybody's text; the default parser would make an error of it.
      parse: (text: string) => text,
      serialize: String,
      // It counts from one and stops before the limit, so this means never: its own reconnecting
      // cannot be stopped once begun, nor told from a connection that no longer listens.
      retryLimit: 1,
      paranoidChecking: false,
    })
    subscriber.notifications.on(NOTIFY_CHANNEL, (payload: string | undefined) => {
      if (payload === ping) missed = 0
      // Others ring themselves too.
      else if (!payload?.startsWith(PING)) onNotify()
    })
    subscriber.events.on('error', (error) => reconnect(subscriber, error))
    return subscriber
  }

  /** Begins anew. */
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
      reconnect(subscriber, new Error('no echo of its own notification'))
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

const retryDelayMs = (attempt: number) =>
  Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2)
