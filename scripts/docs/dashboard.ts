/** PromQL queries by their legend. */
type Queries = Readonly<Record<string, string>>

interface Panel {
  /** Never reused, even after a panel is removed, because links and annotations refer to it. */
  readonly id: number
  readonly title: string
  readonly help: string
  readonly unit: string
  readonly queries: Queries
  /** True for a single number instead of a graph. */
  readonly isNumber?: boolean
  /** Thresholds for yellow and red. Graphs draw them as lines. */
  readonly bounds?: readonly number[]
  /** True if values below the threshold are bad. */
  readonly isBetterAbove?: boolean
}

interface Row {
  readonly id: number
  readonly title: string
  readonly panels: readonly Panel[]
}

const rate = (counter: string) => `rate(${counter}[$__rate_interval])`
const quantile = (q: number, histogram: string, by = 'le') =>
  `histogram_quantile(${q}, sum by (${by}) (${rate(`${histogram}_bucket`)}))`
/** Returns the quantile of the HTTP request duration for some labels. */
const bucketsOf = (q: number, labels: string) =>
  `histogram_quantile(${q}, sum by (le) (${rate(`spms_http_request_duration_seconds_bucket${labels}`)}))`
const mean = (labels: string) =>
  ['sum', 'count']
    .map((part) => `sum(${rate(`spms_http_request_duration_seconds_${part}${labels}`)})`)
    .join(' / ')
const HIT = '{cache="hit"}'
const UNCACHED = '{cache=~"miss|bypass|stale"}'
/** Resources that CACHE_RESOURCES excludes do not count as misses. */
const READS = 'spms_cache_reads_total{detail!="off"}'
const HITS = 'spms_cache_reads_total{outcome="hit"}'
const NO_HITS = 'spms_cache_reads_total{outcome!="hit"}'

const ROWS: readonly Row[] = [
  {
    id: 1,
    title: 'Correctness',
    panels: [
      {
        id: 101,
        title: 'Oldest watermark',
        help: 'Age of the oldest watermark of all resources, as the APIs read it.',
        unit: 's',
        isNumber: true,
        bounds: [2, 10],
        queries: { age: 'max(spms_cache_watermark_age_seconds)' },
      },
      {
        id: 102,
        title: 'Invalidation lag, p99',
        help: 'Time from a commit to the deletion of its entries.',
        unit: 's',
        isNumber: true,
        bounds: [0.1, 1],
        queries: { p99: quantile(0.99, 'spms_invalidation_lag_seconds') },
      },
      {
        id: 103,
        title: 'Backlog',
        help: 'Events that are committed and not yet applied.',
        unit: 'short',
        isNumber: true,
        bounds: [100, 1000],
        queries: { events: 'max(spms_event_backlog)' },
      },
      {
        id: 104,
        title: 'Resources without owner',
        help: 'Resources that no invalidator keeps up to date.',
        unit: 'short',
        isNumber: true,
        bounds: [1],
        queries: { resources: 'count(sum by (resource) (spms_resource_owned) == 0) or vector(0)' },
      },
      {
        id: 105,
        title: 'Damaged tables',
        help: 'Tables whose triggers were disabled, dropped or changed. Resources that use them are not cached.',
        unit: 'short',
        isNumber: true,
        bounds: [1],
        queries: { tables: 'max(spms_damaged_tables)' },
      },
      {
        id: 106,
        title: 'Verification mismatches',
        help: 'Cached values that differed from Postgres. Empty if `verify --watch` does not run.',
        unit: 'short',
        isNumber: true,
        bounds: [1],
        queries: {
          answers: 'sum(spms_verified_total{outcome="wrong"}) or 0 * sum(spms_verified_total)',
        },
      },
      {
        id: 107,
        title: 'Foreign watermarks',
        help: 'Resources that the invalidator skips, because another database invalidates them in this Redis.',
        unit: 'short',
        isNumber: true,
        bounds: [1],
        queries: { resources: 'sum(max by (resource) (spms_foreign_watermarks)) or vector(0)' },
      },
      {
        id: 108,
        title: 'Disconnected listeners',
        help: 'Invalidators that receive no notifications. They poll every 20 ms instead.',
        unit: 'short',
        isNumber: true,
        bounds: [1],
        queries: { invalidators: 'count(spms_listener_connected == 0) or vector(0)' },
      },
      {
        id: 111,
        title: 'Watermark age in the APIs',
        help: 'Above the line, entries expire after MAX_STALENESS_MS.',
        unit: 's',
        bounds: [10],
        queries: { '{{resource}}': 'max by (resource) (spms_cache_watermark_age_seconds)' },
      },
      {
        id: 112,
        title: 'Watermark age in Redis',
        help: 'Measured every ten seconds.',
        unit: 's',
        bounds: [10],
        queries: { '{{resource}}': 'max by (resource) (spms_watermark_age_seconds)' },
      },
      {
        id: 113,
        title: 'Invalidation lag',
        help: 'Time from a commit to the deletion of its entries.',
        unit: 's',
        bounds: [1],
        queries: {
          p50: quantile(0.5, 'spms_invalidation_lag_seconds'),
          p99: quantile(0.99, 'spms_invalidation_lag_seconds'),
        },
      },
      {
        id: 114,
        title: 'Events by table',
        help: 'Rows of the event log. I, U and D are changes; T, B, X and F cause flushes. Every replica reads all of them.',
        unit: 'ops',
        queries: { '{{table}} {{op}}': `max by (table, op) (${rate('spms_events_total')})` },
      },
      {
        id: 115,
        title: 'Entries invalidated',
        help: 'Entries that existed and were deleted.',
        unit: 'ops',
        queries: { '{{resource}}': `sum by (resource) (${rate('spms_invalidated_keys_total')})` },
      },
      {
        id: 116,
        title: 'Flushes',
        help: 'Flushed resources, by reason.',
        unit: 'short',
        queries: {
          '{{resource}} {{reason}}':
            'sum by (resource, reason) (increase(spms_flushes_total[$__rate_interval]))',
        },
      },
      {
        id: 117,
        title: 'Verified values',
        help: 'Cached values compared with Postgres by `verify --watch`, by time after a change.',
        unit: 'ops',
        queries: {
          '{{outcome}} after {{after_s}} s': `sum by (outcome, after_s) (${rate('spms_verified_total')})`,
        },
      },
      {
        id: 118,
        title: 'Resources owned',
        help: 'Replicas share the resources.',
        unit: 'short',
        queries: { '{{instance}}': 'sum by (instance) (spms_resource_owned)' },
      },
    ],
  },
  {
    id: 2,
    title: 'Latency',
    panels: [
      {
        id: 201,
        title: 'Hit rate',
        help: 'Share of all reads of cached resources. The line is the target.',
        unit: 'percentunit',
        bounds: [0.7],
        isBetterAbove: true,
        queries: { 'hit rate': `sum(${rate(HITS)}) / sum(${rate(READS)})` },
      },
      {
        id: 202,
        title: 'Queries saved',
        help: 'Share of the reads of cached resources without a query. The line is the minimum target.',
        unit: 'percentunit',
        bounds: [0.4],
        isBetterAbove: true,
        queries: {
          saved: `1 - sum(${rate('spms_cache_loads_total')}) / sum(${rate('spms_cache_reads_total')})`,
        },
      },
      {
        id: 203,
        title: 'Hit rate by resource',
        help: '',
        unit: 'percentunit',
        bounds: [0.7],
        isBetterAbove: true,
        queries: {
          '{{resource}}': `sum by (resource) (${rate(HITS)}) / sum by (resource) (${rate(READS)})`,
        },
      },
      {
        id: 204,
        title: 'Latency, cached',
        help: 'Requests that were answered from Redis.',
        unit: 's',
        queries: { p50: bucketsOf(0.5, HIT), p95: bucketsOf(0.95, HIT), p99: bucketsOf(0.99, HIT) },
      },
      {
        id: 205,
        title: 'Latency, uncached',
        help: 'Reads that needed Postgres.',
        unit: 's',
        queries: {
          p50: bucketsOf(0.5, UNCACHED),
          p95: bucketsOf(0.95, UNCACHED),
          p99: bucketsOf(0.99, UNCACHED),
        },
      },
      {
        id: 206,
        title: 'Mean response time',
        help: 'Cached and uncached requests.',
        unit: 's',
        queries: { cached: mean(HIT), uncached: mean(UNCACHED) },
      },
      {
        id: 207,
        title: 'Reads without a hit',
        help: 'off: not cached. redis: no reply from Redis. consistency: the client requires newer data. triggers: damaged triggers. version: another build is being deployed. freshness: the watermark did not advance. error: a stale value replaced an error.',
        unit: 'reqps',
        queries: {
          '{{outcome}} {{detail}}': `sum by (outcome, detail) (${rate(NO_HITS)})`,
        },
      },
      {
        id: 208,
        title: 'Fills',
        help: 'revoked: invalidated during the load. full: too many variants. too_large: above CACHE_MAX_VALUE_BYTES. rate_limited: too many entities that do not exist. failed: Redis error.',
        unit: 'ops',
        queries: { '{{result}}': `sum by (result) (${rate('spms_cache_fills_total')})` },
      },
      {
        id: 209,
        title: 'Shared loads',
        help: 'Reads that used the result of a concurrent load.',
        unit: 'ops',
        queries: { '{{resource}}': `sum by (resource) (${rate('spms_cache_lease_waits_total')})` },
      },
      {
        id: 210,
        title: 'Redis latency, p99',
        help: 'Time that requests waited for a command.',
        unit: 's',
        bounds: [0.05],
        queries: {
          '{{command}}': quantile(0.99, 'spms_redis_command_duration_seconds', 'le, command'),
        },
      },
      {
        id: 211,
        title: 'Loads from Postgres, p95',
        help: 'Including the time in the queue.',
        unit: 's',
        queries: {
          '{{resource}}': quantile(0.95, 'spms_cache_load_duration_seconds', 'le, resource'),
        },
      },
    ],
  },
  {
    id: 3,
    title: 'Load',
    panels: [
      {
        id: 301,
        title: 'Requests',
        help: '429: rate limited. 499: the client disconnected. 503: too many loads, or Postgres is unavailable.',
        unit: 'reqps',
        queries: { '{{status}}': `sum by (status) (${rate('spms_http_requests_total')})` },
      },
      {
        id: 302,
        title: 'Busiest routes',
        help: '',
        unit: 'reqps',
        queries: {
          '{{method}} {{route}} {{cache}}': `topk(10, sum by (method, route, cache) (${rate('spms_http_requests_total')}))`,
        },
      },
      {
        id: 303,
        title: 'Redis memory',
        help: 'The alert fires at 80 % of the limit.',
        unit: 'bytes',
        queries: {
          used: 'max(spms_redis_memory_used_bytes)',
          limit: 'max(spms_redis_memory_max_bytes)',
        },
      },
      {
        id: 304,
        title: 'Evictions',
        help: 'Entries that Redis evicted at its memory limit. This only lowers the hit rate.',
        unit: 'ops',
        queries: { entries: `max(${rate('spms_redis_evicted_keys_total')})` },
      },
      {
        id: 305,
        title: 'Processes without Redis',
        help: 'Processes without a connection, and processes with an open circuit breaker.',
        unit: 'short',
        queries: {
          disconnected: 'count(spms_redis_up == 0) or vector(0)',
          'breaker open': 'count(spms_redis_breaker_open == 1) or vector(0)',
        },
      },
      {
        id: 306,
        title: 'Redis failures',
        help: 'unreadable: keys and values under the prefix that another program wrote; doctor lists them.',
        unit: 'ops',
        queries: {
          '{{reason}}': `sum by (reason) (${rate('spms_redis_errors_total')})`,
          connections: `sum(${rate('spms_redis_connection_failures_total')})`,
          'unreadable {{kind}}': `sum by (kind) (${rate('spms_unreadable_values_total')})`,
        },
      },
      {
        id: 307,
        title: 'Reads from Postgres',
        help: 'In each process, LOAD_CONCURRENCY loads run and LOAD_QUEUE wait. Further requests are rejected.',
        unit: 'short',
        queries: {
          '{{state}}': 'sum by (state) (spms_loads)',
          'rejected per second': `sum(${rate('spms_loads_rejected_total')})`,
        },
      },
      {
        id: 308,
        title: 'Connections to Postgres',
        help: 'Connections of the APIs, with a separate pool for writes. waiting: requests that wait for a free connection.',
        unit: 'short',
        queries: { '{{pool}} {{state}}': 'sum by (pool, state) (spms_db_connections)' },
      },
      {
        id: 309,
        title: 'Windows and wake-ups',
        help: 'Under load, invalidators poll and writers do not notify.',
        unit: 'ops',
        queries: {
          windows: `sum(${rate('spms_invalidator_windows_total')})`,
          'wake-ups': `sum(${rate('spms_wakeups_total')})`,
        },
      },
      {
        id: 310,
        title: 'Event log',
        help: '',
        unit: 'bytes',
        queries: { size: 'max(spms_event_log_bytes)' },
      },
      {
        id: 311,
        title: 'Oldest event',
        help: 'The event log keeps ten to twenty minutes.',
        unit: 's',
        bounds: [2700],
        queries: { age: 'max(spms_event_log_oldest_seconds)' },
      },
      {
        id: 312,
        title: 'NOTIFY queue',
        help: 'Above one half, writers no longer notify.',
        unit: 'percentunit',
        bounds: [0.25],
        queries: { full: 'max(spms_notify_queue_usage_ratio)' },
      },
      {
        id: 313,
        title: 'CPU',
        help: 'Cores in use.',
        unit: 'short',
        queries: { '{{job}} {{instance}}': rate('process_cpu_seconds_total') },
      },
      {
        id: 314,
        title: 'Memory',
        help: '',
        unit: 'bytes',
        queries: { '{{job}} {{instance}}': 'process_resident_memory_bytes' },
      },
      {
        id: 315,
        title: 'Event loop',
        help: 'Near one, the process is saturated.',
        unit: 'percentunit',
        bounds: [0.8],
        queries: { '{{job}} {{instance}}': 'nodejs_eventloop_utilization_ratio' },
      },
    ],
  },
]

const COLUMNS = 24
const NUMBER = { w: 3, h: 4 }
const GRAPH = { w: 8, h: 8 }
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }

/** Returns the Grafana dashboard as JSON. */
export function describeDashboard(): string {
  let y = 0
  const panels = ROWS.flatMap((row) => {
    const heading = {
      id: row.id,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: COLUMNS, h: 1 },
      panels: [],
    }
    let x = 0
    let height = 0
    const placed = row.panels.map((panel) => {
      const { w, h } = panel.isNumber ? NUMBER : GRAPH
      if (x + w > COLUMNS || (height > 0 && h !== height)) {
        x = 0
        y += height
      }
      height = h
      const gridPos = { x, y, w, h }
      x += w
      return toPanel(panel, gridPos)
    })
    y += height
    return [heading, ...placed]
  })
  return `${JSON.stringify({ ...CACHED, panels }, null, 2)}\n`
}

const CACHED = {
  uid: 'spms',
  title: 'SPMS',
  description:
    'Correctness, latency and load of the cache. docs/runbook.md lists actions for each alert.',
  tags: ['spms'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  refresh: '30s',
  time: { from: 'now-3h', to: 'now' },
  timezone: 'browser',
  templating: {
    list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' }],
  },
}

function toPanel(panel: Panel, gridPos: object): object {
  const { id, title, help, unit, queries, isNumber = false, bounds = [] } = panel
  const isLine = !isNumber && bounds.length > 0
  return {
    id,
    type: isNumber ? 'stat' : 'timeseries',
    title,
    description: help,
    gridPos,
    datasource: DATASOURCE,
    targets: Object.entries(queries).map(([legendFormat, expr], index) => ({
      refId: 'ABC'.charAt(index),
      datasource: DATASOURCE,
      expr,
      legendFormat,
      ...(isNumber && { instant: true }),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(unit === 'percentunit' && { max: 1 }),
        thresholds: { mode: 'absolute', steps: stepsOf(panel) },
        ...(isLine && { custom: { thresholdsStyle: { mode: 'line' } } }),
      },
      overrides: [],
    },
    options: isNumber
      ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'background', graphMode: 'none' }
      : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
  }
}

function stepsOf({ bounds = [], isBetterAbove = false }: Panel): object[] {
  const colors = isBetterAbove
    ? ['red', 'green']
    : bounds.length === 1
      ? ['green', 'red']
      : ['green', 'yellow', 'red']
  return [null, ...bounds].map((value, index) => ({ value, color: colors[index] }))
}
