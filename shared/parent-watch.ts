import { Socket } from 'node:net'

/**
 * Stops this process, as SIGTERM would, when the one that started it has ended: its starter holds
 * the other end of a pipe whose descriptor is `SPMS_PARENT_FD`. Without one it does nothing.
 */
export function exitWithParent(environment: NodeJS.ProcessEnv): void {
  const fd = environment.SPMS_PARENT_FD
  if (fd === undefined) return
  const pipe = new Socket({ fd: Number(fd), readable: true, writable: false })
  // A starter that was killed may show as an error before the end.
  pipe.on('error', () => {})
  pipe.on('close', () => process.kill(process.pid, 'SIGTERM'))
  pipe.resume()
  pipe.unref()
}
