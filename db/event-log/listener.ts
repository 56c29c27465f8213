import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import createSubscriber, { type Subscriber } from 'pg-listen'
import { clientConfig, explainConnectionError } from '../connection.ts'
import { parseDatabaseUrl } from '../database-url.ts'
import { SettledConnection } from '../settled-connection.ts'
import { BELL_CHANNEL } from './event.ts'

/** Hears the bell. A hint only: whoever misses a ring finds the event with the next window. */
export interface Listener extends AsyncDisposable {
  /** False while a ring would not be heard. */
  readonly hearing: boolean
}

export interface ListenerOptions {
  readonly url: string
  readonly applicationName: string
  /** The bell rang, or may have rung while nobody listened. */
  readonly onRing: () => void
  readonly onState: (hearing: boolean, error?: unknown) => void
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
export function openListener({ url, applicationName, onRing, onState }: ListenerOptions): Listener {
  let hearing = false
  const stop = new AbortController()
  let current: Subscriber | undefined
  const ping = PING + randomUUID()
  let missed = 0

  const become = (state: boolean, error?: unknown) => {
    if (stop.signal.aborted) return
    if (state !== hearing) {
      hearing = state
      onState(state, error)
    }
    // Hearing again: rings from before are lost, and what they announced must be looked for.
    // Deaf: whoever sleeps must know that nothing will wake it.
    onRing()
  }

  const connect = async (): Promise<void> => {
    for (let attempt = 0; !stop.signal.aborted; attempt++) {
      const subscriber = createOne()
      try {
        await subscriber.connect()
        await subscriber.listenTo(BELL_CHANNEL)
        current = subscriber
        missed = 0
        if (stop.signal.aborted) await subscriber.close()
        else become(true)
        return
      } catch (error) {
        become(false, explainConnectionError(error))
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
    const settled = { ...config, connection: new SettledConnection(config, SETTINGS) }
    const subscriber = subscribe(settled, {
      // A payload is anybody's text; the default parser would make an error of it.
      parse: (text: string) => text,
      serialize: String,
      // It counts from one and stops before the limit, so this means never: its own reconnecting
      // cannot be stopped once begun, nor told from a connection that no longer listens.
      retryLimit: 1,
      paranoidChecking: false,
    })
    subscriber.notifications.on(BELL_CHANNEL, (payload: string | undefined) => {
      if (payload === ping) missed = 0
      // Others ring themselves too.
      else if (!payload?.startsWith(PING)) onRing()
    })
    subscriber.events.on('error', (error) => giveUp(subscriber, error))
    return subscriber
  }

  /** Begins anew. */
  function giveUp(subscriber: Subscriber, error: unknown): void {
    if (subscriber !== current || stop.signal.aborted) return
    become(false, error)
    current = undefined
    subscriber.close().catch(() => undefined)
    connecting = connect()
  }

  let connecting = connect()
  const pinging = setInterval(() => {
    const subscriber = current
    if (!subscriber) return
    if (missed++ === PINGS_TO_MISS) giveUp(subscriber, new Error('it does not hear itself'))
    else subscriber.notify(BELL_CHANNEL, ping).catch((error) => giveUp(subscriber, error))
  }, PING_EVERY_MS)

  return {
    get hearing() {
      return hearing
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
