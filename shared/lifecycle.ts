import type { Logger } from 'winston'
import { ConfigurationError } from './errors.ts'

export interface Service {
  /** Aborted when the process has been asked to stop, and always before resources are closed. */
  readonly stopping: AbortSignal
  /** Keeps a resource until the service stops, and then closes it with `close`. */
  own<T>(resource: T, close: (resource: T) => unknown): T
}

/** Time that running work has to end after a request to stop. */
export const GRACE_MS = 25_000
const exitIfStuck = () => setTimeout(() => process.exit(1), GRACE_MS).unref()

/**
 * Runs a process. `main` opens the resources that it needs and returns when its work is done. They are
 * then closed, newest first. The process ends because nothing is left open.
 */
export async function runService(
  logger: Logger,
  main: (service: Service) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const closers: (() => unknown)[] = []

  // One Ctrl-C may send the signal several times: from the terminal, from npm, from the parent
  // process.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) return
      logger.info('stopping', { signal })
      stop.abort()
      exitIfStuck()
    })
  }
  process.on('uncaughtExceptionMonitor', (error) => logger.error('crashed', { error }))

  try {
    await main({
      stopping: stop.signal,
      own(resource, close) {
        closers.push(() => close(resource))
        return resource
      },
    })
  } catch (error) {
    process.exitCode = 1
    if (error instanceof ConfigurationError) logger.error(error.message)
    else logger.error('service failed', { error })
  }

  // `main` may have ended by itself or by an error while other work still waits for this signal.
  stop.abort()
  exitIfStuck()
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      logger.error('could not close a resource', { error })
    }
  }
  logger.info('stopped')
}

/** Resolves when the service has been asked to stop. */
export function untilStopped(stopping: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stopping.aborted) resolve()
    else stopping.addEventListener('abort', () => resolve(), { once: true })
  })
}
