import { Socket } from 'node:net'

/**
 * Stops this process, as SIGTERM would, when its parent process has ended. The parent holds the other end
 * of the pipe with the descriptor `SPMS_PARENT_FD`. Without that variable nothing happens.
 */
export function exitWithParent(environment: NodeJS.ProcessEnv): void {
  const fd = environment.SPMS_PARENT_FD
  if (fd === undefined) return
  const pipe = new Socket({ fd: Number(fd), readable: true, writable: false })
  // A killed parent may cause an error before the end of the stream.
  pipe.on('error', () => {})
  pipe.on('close', () => process.kill(process.pid, 'SIGTERM'))
  pipe.resume()
  pipe.unref()
}
