/**
 * Prevents a stack trace when the reader of the output exits, as with `| head`. Commands that run
 * until a signal receive SIGPIPE, which Node itself ignores. Other commands run to their end, so
 * that their exit code stays meaningful.
 */
export function ignoreClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.emit('SIGPIPE', 'SIGPIPE')
    })
  }
}
