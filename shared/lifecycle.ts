import type { Logger } from 'winston'
import { ConfigurationError } from './errors.ts'

export interface Service {
  /** Aborted when the process has been asked to stop, and in any case before things are closed. */
  readonly stopping: AbortSignal
  /** Keeps a resource for the life of the service, and says how it is closed. */
  own<T>(resource: T, close: (resource: T) => unknown): T
}

/** How long what is running may take to end, once asked to. */
export const GRACE_MS = 25_000
const exitIfStuck = () => setTimeout(() => process.exit(1), GRACE_MS).unref()

/**
 * Runs a process: `main` opens what it needs and returns when its work is over.
 * What it opened is then closed, newest first. The process ends because nothing is left open.
 */
export async function runService(
  logger: Logger,
  main: (service: Service) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const closers: (() => unknown)[] = []

  // One Ctrl-C may arrive several times: from the terminal, from npm, from who started us.
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

  // It may have ended by itself, or by an error, while something else still waits for this.
  stop.abort()
  exitIfStuck()
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      logger.error('a resource did not close', { error })
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
