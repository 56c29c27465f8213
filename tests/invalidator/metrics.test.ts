import { createAppInstruments } from '../../shared/metrics.ts'
import { expect } from 'chai'
import { Registry } from 'prom-client'
import { runMetricsCollector } from '../../invalidator/metrics-collector.ts'
import type { InvalidatorMetrics } from '../../invalidator/metrics.ts'
import { createLogger } from '../../shared/logger.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { Scrape } from '../metrics/scrape.ts'
import { openWorker, startInvalidator, type TestInvalidator } from '../support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { notInCluster } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { BIRDS, openBirds } from './birds.ts'

/** An address without a server. */
const NOWHERE = 'postgres://none@127.0.0.1:1/none'

type Metric = InvalidatorMetrics['owned' | 'lagSeconds']

/** Returns the values of a metric by its first label. */
async function valuesOf(metric: Pick<Metric, 'get'>): Promise<Record<string, number>> {
  const { values } = await metric.get()
  return Object.fromEntries(values.map(({ labels, value }) => [Object.values(labels)[0], value]))
}

describe('metrics of an invalidator', function () {
  this.timeout(60_000)
  let log: EventLog
  let redis: PrivateRedis
  let invalidator: TestInvalidator | undefined

  before(async () => {
    log = await openBirds()
    redis = await startPrivateRedis()
  })
  after(async () => {
    await redis[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await log.client.query('truncate bird, ring; delete from invalidation.event')
  })
  afterEach(async () => {
    await invalidator?.[Symbol.asyncDispose]()
    invalidator = undefined
  })

  async function start(): Promise<TestInvalidator> {
    const started = startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      redisUrl: redis.url,
    })
    await until(() => started.working)
    return (invalidator = started)
  }

  /** Starts a metrics collector that polls every 20 ms. */
  function beginMetricsCollector({ buckets, stores }: TestInvalidator, databaseUrl = log.url) {
    const registry = new Registry()
    const stopping = new AbortController()
    const logger = createLogger('test')
    logger.silent = true
    const applicationName = 'spms-test-metrics'
    const running = runMetricsCollector(
      {
        databaseUrl,
        applicationName,
        buckets,
        stores,
        catalog: BIRDS,
        instruments: createAppInstruments(registry),
        logger,
        logDenial: () => {},
        everyMs: 20,
      },
      stopping.signal,
    )
    return {
      scrape: async () => new Scrape([await registry.metrics()]),
      async [Symbol.asyncDispose]() {
        stopping.abort()
        await running
      },
    }
  }

  const insertBirds = (count: number) =>
    log.client.query(
      `do $$ begin for i in 1..${count} loop insert into bird (id, name) values (100 + i, 'a bird'); end loop; end $$`,
    )

  it('report the owned resources, and none after the session has ended', async () => {
    const { metrics } = await start()
    await until(async () => !Object.values(await valuesOf(metrics.owned)).includes(0))
    expect(Object.keys(await valuesOf(metrics.owned))).to.have.members(
      BIRDS.map(({ name }) => name),
    )
    await invalidator?.[Symbol.asyncDispose]()
    invalidator = undefined
    expect(Object.values(await valuesOf(metrics.owned))).to.deep.equal([0, 0, 0])
  })

  it('count events by table and kind', async () => {
    await using one = await openWorker({ databaseUrl: log.url, catalog: BIRDS })
    one.worker.acquire(BIRDS)
    await one.worker.applyWindow()
    await insertBirds(3)
    await log.client.query(`select invalidation.flush('bird')`)
    await one.worker.applyWindow()
    const reported = new Scrape([await one.registry.metrics()])
    expect(reported.sum('spms_events_total', { table: 'bird', op: 'I' })).to.equal(3)
    expect(reported.sum('spms_events_total', { table: 'none', op: 'F' })).to.equal(1)
    expect(reported.sum('spms_events_total')).to.equal(4)
  })

  it('report damaged tables with the cause until they are repaired', async () => {
    await using one = await openWorker({
      databaseUrl: log.url,
      catalog: BIRDS,
      inspectEveryMs: 0,
    })
    one.worker.acquire(BIRDS)
    const damaged = async () => {
      await one.worker.applyWindow()
      const { values } = await one.metrics.damagedTables.get()
      return values.map(({ labels, value }) => [...Object.values(labels), value].join(' ').trim())
    }
    const healthy = ['bird   0', 'nest   0', 'census   0']
    expect(await damaged()).to.have.members(healthy)
    await log.client.query(`alter table nest disable trigger zz_invalidation_update;
      alter table nest enable row level security`)
    expect(await damaged()).to.have.members([
      'bird nest row security 1',
      'bird nest triggers 1',
      'nest   0',
      'census   0',
    ])
    await log.client.query(`alter table nest enable always trigger zz_invalidation_update;
      alter table nest disable row level security`)
    expect(await damaged()).to.have.members(healthy)
  })

  notInCluster('the clocks of several servers give no second bound').it(
    'do not include the duration of a transaction in the invalidation lag',
    async () => {
      await using one = await openWorker({ databaseUrl: log.url, catalog: BIRDS })
      one.worker.acquire(BIRDS)
      await one.worker.applyWindow()
      await insertBirds(1)
      // The transaction logged its first change an hour before its commit.
      await log.client.query(`update invalidation.event set at = at - interval '1 hour'`)
      expect(await one.worker.applyWindow()).to.equal(1)
      const reported = new Scrape([await one.registry.metrics()])
      expect(reported.sum('spms_invalidation_lag_seconds_count')).to.equal(1)
      expect(reported.sum('spms_invalidation_lag_seconds_sum')).to.be.lessThan(60)
    },
  )

  it('report the event log and Redis', async () => {
    await using collector = beginMetricsCollector(await start())
    await insertBirds(10)
    await until(async () => (await collector.scrape()).sum('spms_event_log_oldest_seconds') > 0)
    await until(async () => (await collector.scrape()).sum('spms_event_backlog') === 0)
    await until(async () =>
      (await collector.scrape()).find('spms_watermark_age_seconds').every(({ value }) => value < 5),
    )
    const reported = await collector.scrape()
    expect(reported.find('spms_watermark_age_seconds')).to.have.length(BIRDS.length)
    expect(reported.sum('spms_event_log_bytes')).to.be.greaterThan(8_000)
    expect(reported.sum('spms_redis_memory_used_bytes')).to.be.greaterThan(100_000)
    for (const name of [
      'spms_redis_memory_max_bytes',
      'spms_redis_evicted_keys_total',
      'spms_notify_queue_usage_ratio',
    ]) {
      expect(reported.find(name), name).to.have.length(1)
    }
  })

  it('report a growing backlog and watermark age while Redis is down, without Redis metrics', async () => {
    const one = await start()
    await using collector = beginMetricsCollector(one)
    await until(async () => (await collector.scrape()).find('spms_event_backlog').length === 1)
    const age = async () =>
      (await collector.scrape()).sum('spms_watermark_age_seconds', { resource: 'bird' })
    // Infinite without a watermark, i.e. until the first flush is complete.
    await until(async () => (await age()) < 5)
    await redis.stop()
    await insertBirds(30)
    const before = await age()
    await until(async () => (await collector.scrape()).sum('spms_event_backlog') >= 30)
    await until(async () => (await age()) > before + 0.5)
    expect((await collector.scrape()).find('spms_redis_memory_used_bytes')).to.deep.equal([])
    await redis.start()
    await until(async () => (await collector.scrape()).sum('spms_event_backlog') === 0)
    await until(async () => (await age()) < 5)
    expect((await collector.scrape()).find('spms_redis_memory_used_bytes')).to.have.length(1)
  })

  it('omit the event log if it cannot be read, and report the rest', async () => {
    await using collector = beginMetricsCollector(await start(), NOWHERE)
    await until(
      async () => (await collector.scrape()).find('spms_watermark_age_seconds').length > 0,
    )
    const reported = await collector.scrape()
    for (const name of [
      'spms_event_backlog',
      'spms_event_log_bytes',
      'spms_notify_queue_usage_ratio',
    ]) {
      expect(reported.find(name), name).to.deep.equal([])
    }
    expect(invalidator?.working).to.equal(true)
  })
})
