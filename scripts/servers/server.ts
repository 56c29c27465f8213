import type { ServerProcess } from './server-process.ts'

/** A server that this process started. It ends with its starter. */
export interface Server {
  readonly url: string
  readonly port: number
  readonly process: ServerProcess
  /** Text in its command line by which a later start recognises it. */
  readonly mark: string
  /** The name of its container, if it runs in Docker. */
  readonly container?: string
  stop(): Promise<void>
}
