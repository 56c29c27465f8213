/**
 * Ends the output of a program whose reader has gone, as with `| head`, without a stack trace. What
 * runs until it is asked to stop hears SIGPIPE, which Node itself ignores; everything else goes on
 * to its end, so that its exit code still says what it found.
 */
export function ignoreClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.emit('SIGPIPE', 'SIGPIPE')
    })
  }
}
