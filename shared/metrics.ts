import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Registry } from 'prom-client'
import { createInstruments, type Instruments } from './cache/index.ts'
import { oneAtATime } from './server.ts'

/**
 * Creates a registry with the metrics of the process. They replace the default metrics of the client
 * library: those are thirty more, rarely used, and some of them are expensive.
 */
export function createRegistry(): Registry {
  const registry = new Registry()
  const { reading, sum } = createInstruments(registry)
  sum('process_cpu_seconds_total', 'Processor time', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  reading('process_resident_memory_bytes', 'Memory in use', () => [[{}, process.memoryUsage.rss()]])
  let before = performance.eventLoopUtilization()
  reading(
    'nodejs_eventloop_utilization_ratio',
    'Share of the time since the last scrape in which the event loop was busy',
    () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return [[{}, utilization]]
    },
  )
  return registry
}

/** Creates the instruments of this application: the names of their metrics begin with `spms_`. */
export const createAppInstruments = (registry: Registry): Instruments =>
  createInstruments(registry, 'spms')

export interface StatusServerOptions {
  readonly registry: Registry
  /** Started and not draining. */
  readonly isReady: () => boolean
  /** Answers other paths; returns false for an unknown one. */
  readonly handle?: (req: IncomingMessage, res: ServerResponse) => boolean
}

/** Creates a server for `/metrics`, `/livez` and `/readyz`, on its own port without public routes. */
export function createStatusServer({
  registry,
  isReady,
  handle = () => false,
}: StatusServerOptions): Server {
  const answer = (req: IncomingMessage, res: ServerResponse) => {
    switch (req.url) {
      case '/metrics':
        registry.metrics().then(
          (text) => res.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
          () => res.writeHead(500).end(),
        )
        break
      case '/livez':
        res.writeHead(200).end('ok')
        break
      case '/readyz':
        res.writeHead(isReady() ? 200 : 503).end(isReady() ? 'ok' : 'not ready')
        break
      default:
        if (!handle(req, res)) res.writeHead(404).end()
    }
  }
  return createServer(oneAtATime(answer))
}
