/**
 * Returns a signal that aborts when a command shall stop. SIGPIPE means that the reader of its output has
 * exited.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGPIPE'] as const) {
    process.once(signal, () => stop.abort())
  }
  return stop.signal
}
