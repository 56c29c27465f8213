import type { ServerProcess } from './server-process.ts'

/** A server that was started here, and ends with whoever started it. */
export interface Server {
  readonly url: string
  readonly port: number
  readonly process: ServerProcess
  /** What its command line shows, so that a later start can tell it from a stranger. */
  readonly mark: string
  /** The container, where Docker runs it. */
  readonly container?: string
  stop(): Promise<void>
}
