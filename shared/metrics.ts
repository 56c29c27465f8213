import { createServer, type Server } from 'node:http'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** What the two services count. Take a label's child once: looking it up costs more than counting. */
export interface Metrics {
  readonly registry: Registry
  /** Outcome: as in `Answer`. */
  readonly cacheReads: Counter<'resource' | 'outcome'>
  readonly cacheLoads: Counter<'resource'>
  /** Result: `stored`, or why it was refused. */
  readonly cacheFills: Counter<'resource' | 'result'>
  readonly invalidatedKeys: Counter<'resource'>
  readonly flushes: Counter<'resource' | 'reason'>
  /** From the event's clock to the moment its keys were gone. */
  readonly invalidationLagSeconds: Histogram
  readonly windows: Counter
  /** 1 for each resource that is left alone because another database invalidates in the same Redis. */
  readonly rivals: Gauge<'resource'>
  readonly bellRings: Counter
}

/** A registry of its own for each call, so that tests may have many. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers })

  collectDefaultMetrics({ register: registry })
  return {
    registry,
    cacheReads: counter(
      'spms_cache_reads_total',
      'Reads by how they were answered',
      'resource',
      'outcome',
    ),
    cacheLoads: counter('spms_cache_loads_total', 'Loads from Postgres', 'resource'),
    cacheFills: counter('spms_cache_fills_total', 'Fills by result', 'resource', 'result'),
    invalidatedKeys: counter('spms_invalidated_keys_total', 'Keys invalidated', 'resource'),
    flushes: counter('spms_flushes_total', 'Flushes by reason', 'resource', 'reason'),
    invalidationLagSeconds: new Histogram({
      name: 'spms_invalidation_lag_seconds',
      help: 'From a change to its invalidation',
      buckets: [
        0.0005, 0.001, 0.0015, 0.002, 0.003, 0.006, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10,
      ],
      registers,
    }),
    windows: counter('spms_invalidator_windows_total', 'Windows applied'),
    rivals: new Gauge({
      name: 'spms_rivals',
      help: 'Resources whose watermark another database moves',
      labelNames: ['resource'],
      registers,
    }),
    bellRings: counter('spms_bell_rings_total', 'Notifications that woke a sleeper'),
  }
}

export interface StatusServerOptions {
  readonly registry: Registry
  /** Started and not draining. */
  readonly isReady: () => boolean
}

/** `/metrics`, `/livez` and `/readyz`, on a port of their own that no public route leads to. */
export function createStatusServer({ registry, isReady }: StatusServerOptions): Server {
  return createServer((req, res) => {
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
        res.writeHead(404).end()
    }
  })
}
