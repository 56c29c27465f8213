import { setTimeout as sleep } from 'node:timers/promises'
import createSubscriber, { type Subscriber } from 'pg-listen'
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

const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000

/** Listens for ever: connects in the background, and again after every loss. */
export function openListener({ url, applicationName, onRing, onState }: ListenerOptions): Listener {
  let hearing = false
  const stop = new AbortController()
  let current: Subscriber | undefined

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
        if (stop.signal.aborted) await subscriber.close()
        else become(true)
        return
      } catch (error) {
        become(false, error)
        // Not awaited: it may be saying goodbye to a server that is not there.
        subscriber.close().catch(() => undefined)
        await sleep(retryDelayMs(attempt), undefined, { signal: stop.signal }).catch(
          () => undefined,
        )
      }
    }
  }

  const createOne = (): Subscriber => {
    const subscriber = subscribe(
      {
        connectionString: url,
        application_name: applicationName,
        connectionTimeoutMillis: 3_000,
        query_timeout: 2_000,
        keepAliveInitialDelayMillis: 5_000,
      },
      {
        // A payload is anybody's text; the default parser would make an error of it.
        parse: (text: string) => text,
        // It counts from one and stops before the limit, so this means never: its own reconnecting
        // cannot be stopped once begun, nor told from a connection that no longer listens.
        retryLimit: 1,
        paranoidChecking: 5_000,
      },
    )
    subscriber.notifications.on(BELL_CHANNEL, () => onRing())
    // The connection is gone, or does not answer the check any more: begin anew.
    subscriber.events.on('error', (error) => {
      if (subscriber !== current || stop.signal.aborted) return
      become(false, error)
      current = undefined
      subscriber.close().catch(() => undefined)
      connecting = connect()
    })
    return subscriber
  }

  let connecting = connect()

  return {
    get hearing() {
      return hearing
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await connecting
      await current?.close().catch(() => undefined)
    },
  }
}

const retryDelayMs = (attempt: number) =>
  Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2)
