import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Buckets,
  createInvalidationStores,
  type Instruments,
  newProcessId,
  runReportWriter,
} from '../../shared/cache/index.ts'
import { createChangeFeed, type ChangeFeed } from './change-feed.ts'
import { createEntryCounter } from './entry-usage.ts'
import { createExamination } from './examination.ts'
import { runHistory } from './history.ts'
import { createModel } from './model.ts'
import type { ConsoleOptions, Running } from './options.ts'
import { runPeers } from './peers.ts'
import { createConsoleHandler, type ConsoleHandler } from './routes.ts'
import { createStreams } from './streams.ts'

/** Connections of the invalidator that the console uses too. */
export interface ConsoleConnections {
  readonly databaseUrl: string
  readonly buckets: Buckets
  readonly prefix: string
  readonly applicationName: string
  readonly instruments: Instruments
}

/** The console of one process. */
export interface Console {
  /** Receives the changes that this process applies. */
  readonly feed: ChangeFeed
  /** Answers a request; returns false if it is not for the console. */
  handle(req: IncomingMessage, res: ServerResponse): boolean
  /** Runs beside the invalidator until `stopping`. Until then data is answered with 503. */
  run(connections: ConsoleConnections, stopping: AbortSignal): Promise<void>
}

/** Creates a console. Without requests it takes a sample every 2 s and records changes. */
export function createConsole(options: ConsoleOptions): Console {
  const feed = createChangeFeed()
  let running: Running | null = null
  const handle: ConsoleHandler = createConsoleHandler(options, () => running)

  return {
    feed,
    handle,
    async run(connections, stopping) {
      const { buckets, prefix, applicationName, databaseUrl, instruments } = connections
      const { application, version, answersAt, maxStalenessMs } = options
      const { catalog } = application
      const id = newProcessId()
      const stores = createInvalidationStores(buckets)
      const history = runHistory({ buckets, stores, catalog }, stopping)
      const streams = createStreams(feed)
      const own = { buckets, instruments, application: applicationName, version, answersAt }
      running = {
        streams,
        model: createModel({
          ...connections,
          ...options,
          id,
          feed,
          history,
          stores,
          countEntries: createEntryCounter(buckets, prefix, catalog),
          examine: createExamination({
            databaseUrl,
            applicationName: `${applicationName}-console`,
            buckets,
            stores,
            application,
            maxStalenessMs,
          }),
        }),
      }
      const peers = {
        buckets,
        id,
        feed,
        reports: () => history.reports,
        receive: streams.receive,
        isWatched: () => streams.count > 0,
      }
      try {
        await Promise.all([runReportWriter(own, stopping, id), runPeers(peers, stopping)])
      } finally {
        running = null
        streams.close()
      }
    },
  }
}
