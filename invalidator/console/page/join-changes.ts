import { createChangeStream, type Delivery, type Receive } from './change-stream.ts'
// oxlint-disable-next-line import/default -- Vite exports the address of the built script
import workerUrl from './stream-worker.ts?sharedworker&url'

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string }
}

/** Some browsers do not have it. */
const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes }
const trustedUrl =
  trustedTypes
    ?.createPolicy('stream-worker', { createScriptURL: () => workerUrl })
    .createScriptURL(workerUrl) ?? workerUrl
/** For browsers that cannot share a stream. */
const own = createChangeStream('events')

/**
 * Calls `receive` with the changes of the invalidator until the returned function is called. All tabs of a browser share
 * one stream: a browser opens at most six connections to a server, and the seventh stream would block every request.
 */
export function joinChanges(receive: Receive): () => void {
  if (typeof SharedWorker === 'undefined') return own.join(receive)
  let leave = joinShared(receive)
  // The worker does not notice that a tab is closed. A page that is left may be shown again.
  const hide = () => leave()
  const show = ({ persisted }: PageTransitionEvent) => {
    if (persisted) leave = joinShared(receive)
  }
  addEventListener('pagehide', hide)
  addEventListener('pageshow', show)
  return () => {
    removeEventListener('pagehide', hide)
    removeEventListener('pageshow', show)
    leave()
  }
}

function joinShared(receive: Receive): () => void {
  const worker = new SharedWorker(trustedUrl)
  let leaveOwn: (() => void) | undefined
  worker.addEventListener('error', () => (leaveOwn ??= own.join(receive)))
  worker.port.addEventListener('message', ({ data }: MessageEvent<Delivery>) => receive(data))
  worker.port.start()
  return () => {
    worker.port.postMessage('leave')
    worker.port.close()
    leaveOwn?.()
  }
}
