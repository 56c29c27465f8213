import type { Logger } from 'winston'
import type { ExaminedApplication } from '../doctor/application.ts'
import type { Model } from './model.ts'
import type { Streams } from './streams.ts'

/** Title, resources and commands of the application, and settings of the console. */
export interface ConsoleOptions {
  readonly application: ExaminedApplication & {
    readonly title: string
    /** A command that changes an example row, for the first visit. */
    readonly exampleCommand?: string
  }
  readonly version: string
  /** Internal address at which other processes find this console. */
  readonly answersAt?: string | undefined
  /** Permits a flush. Without it the console is read-only. */
  readonly token?: string | undefined
  /** Folder of the built page. */
  readonly pageFolder: string
  readonly maxStalenessMs: number
  readonly logger: Logger
}

/** The parts of a console that need connections. */
export interface Running {
  readonly model: Model
  readonly streams: Streams
}
