import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'
import { root } from '../../scripts/paths.ts'
import { openPromtool, type Promtool } from './promtool.ts'

const RULES = join(root, 'helm/files/alerts.yaml')

/** Values by series in promtool's notation, one value every 30 seconds. */
type Series = Readonly<Record<string, string>>

interface Scenario {
  readonly what: string
  readonly series: Series
  /** Names of the alerts that fire after an hour. */
  readonly fires: readonly string[]
}

const always = (value: number) => `${value}+0x130`
const rising = (perStep: number) => `0+${perStep}x130`
/** One hour is 120 steps: `before`, and `now` for the last `steps` of them. */
const lately = (before: number, steps: number, now: number) =>
  `${before}+0x${119 - steps} ${now}+0x${steps}`

const API = 'job="api", instance="api-1"'
const READS = (outcome: string) =>
  `spms_cache_reads_total{resource="project:detail", outcome="${outcome}"}`
const OWNED = (resource: string, instance: number) =>
  `spms_resource_owned{resource="${resource}", instance="invalidator-${instance}"}`
const AGE = 'spms_cache_watermark_age_seconds{resource="staff:profile", instance="api-1"}'
const PUBLISHED = 'spms_watermark_age_seconds{resource="staff:profile", instance="invalidator-1"}'
const LAG = (le: string) => `spms_invalidation_lag_seconds_bucket{le="${le}"}`
const REQUESTS = (status: number) =>
  `spms_http_requests_total{route="/projects/:id", method="GET", status="${status}", cache="none"}`
const VERIFIED = (outcome: string) => `spms_verified_total{after_s="10", outcome="${outcome}"}`
const UP = `spms_redis_up{${API}}`
const FAILURES = `spms_redis_connection_failures_total{${API}}`

const HEALTHY: Series = {
  [AGE]: always(0.4),
  [PUBLISHED]: always(0.5),
  [OWNED('staff:profile', 1)]: always(1),
  [OWNED('staff:profile', 2)]: always(0),
  [OWNED('project:detail', 1)]: always(0),
  [OWNED('project:detail', 2)]: always(1),
  'spms_damaged_tables{resource="staff:profile"}': always(0),
  'spms_foreign_watermarks{resource="staff:profile"}': always(0),
  [VERIFIED('right')]: rising(100),
  [LAG('0.006')]: rising(970),
  [LAG('1')]: rising(1000),
  [LAG('5')]: rising(1000),
  [LAG('+Inf')]: rising(1000),
  spms_event_backlog: always(12),
  [UP]: always(1),
  [FAILURES]: always(3),
  [`spms_redis_breaker_open{${API}}`]: always(0),
  spms_redis_memory_used_bytes: always(700),
  spms_redis_memory_max_bytes: always(1000),
  [READS('hit')]: rising(900),
  [READS('miss')]: rising(100),
  spms_notify_queue_usage_ratio: always(0.001),
  spms_event_log_oldest_seconds: always(1100),
  [REQUESTS(200)]: rising(1000),
  [REQUESTS(503)]: rising(10),
}

/** The series of a healthy system with changes; `null` removes a series. */
const but = (changes: Readonly<Record<string, string | null>>): Series =>
  Object.fromEntries(
    Object.entries({ ...HEALTHY, ...changes }).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    ),
  )

const SCENARIOS: readonly Scenario[] = [
  { what: 'a healthy system', series: HEALTHY, fires: [] },
  {
    what: 'a watermark that has stopped, as seen by an API',
    series: but({ [AGE]: '0+0x100 0+30x20' }),
    fires: ['SpmsWatermarkStuck'],
  },
  {
    what: 'a missing watermark',
    series: but({ [AGE]: 'Inf+0x130' }),
    fires: ['SpmsWatermarkStuck'],
  },
  {
    what: 'a watermark that is not published, without a running API',
    series: but({ [AGE]: null, [PUBLISHED]: '0+0x100 0+30x20' }),
    fires: ['SpmsWatermarkStuck'],
  },
  {
    what: 'a watermark that stopped for half a minute',
    series: but({ [AGE]: '0.5+0x118 12 0.5+0x9' }),
    fires: [],
  },
  {
    what: 'a resource without an owner',
    series: but({ [OWNED('project:detail', 2)]: lately(1, 5, 0) }),
    fires: ['SpmsResourceWithoutOwner'],
  },
  {
    what: 'no invalidator at all',
    series: but(
      Object.fromEntries(
        Object.keys(HEALTHY)
          .filter((it) => it.startsWith('spms_resource_owned'))
          .map((it) => [it, null]),
      ),
    ),
    fires: ['SpmsResourceWithoutOwner'],
  },
  {
    what: 'a resource that changes its owner',
    series: but({
      [OWNED('project:detail', 2)]: lately(1, 3, 0),
      [OWNED('project:detail', 1)]: lately(0, 2, 1),
    }),
    fires: [],
  },
  {
    what: 'damaged triggers',
    series: but({ 'spms_damaged_tables{resource="staff:profile"}': lately(0, 5, 1) }),
    fires: ['SpmsTriggersDamaged'],
  },
  {
    what: 'triggers that were repaired quickly',
    series: but({ 'spms_damaged_tables{resource="staff:profile"}': '0+0x118 1 0+0x9' }),
    fires: [],
  },
  {
    what: 'the first wrong entry found by verify',
    series: but({ [VERIFIED('wrong')]: '_x110 1+0x15' }),
    fires: ['SpmsVerifyFoundWrong'],
  },
  {
    what: 'another wrong entry found by verify',
    series: but({ [VERIFIED('wrong')]: lately(4, 5, 5) }),
    fires: ['SpmsVerifyFoundWrong'],
  },
  {
    what: 'a wrong entry an hour ago, and entries that changed during verify',
    series: but({ [VERIFIED('wrong')]: '0+0x10 1+0x120', [VERIFIED('changed')]: rising(2) }),
    fires: [],
  },
  {
    what: 'another system in the same Redis',
    series: but({ 'spms_foreign_watermarks{resource="staff:profile"}': lately(0, 5, 1) }),
    fires: ['SpmsOtherSystemInRedis'],
  },
  {
    what: 'a foreign watermark for a few seconds after a new incarnation',
    series: but({ 'spms_foreign_watermarks{resource="staff:profile"}': '0+0x118 1 0+0x9' }),
    fires: [],
  },
  {
    what: 'one of 50 changes that takes more than a second',
    series: but({ [LAG('1')]: rising(980) }),
    fires: ['SpmsInvalidationSlow'],
  },
  {
    what: 'one of 500 changes that takes more than a second',
    series: but({ [LAG('1')]: rising(998) }),
    fires: [],
  },
  {
    what: 'a lasting backlog',
    series: but({ spms_event_backlog: '0+0x100 0+900x20' }),
    fires: ['SpmsBacklogGrowing'],
  },
  {
    what: 'a bulk load that is applied quickly',
    series: but({ spms_event_backlog: '0+0x117 40000 20 0+0x9' }),
    fires: [],
  },
  {
    what: 'a Redis that is down',
    series: but({ [UP]: lately(1, 4, 0), [FAILURES]: '3+0x115 3+25x14' }),
    fires: ['SpmsRedisConnectionFailures'],
  },
  {
    what: 'a Redis whose connections are lost repeatedly',
    series: but({ [FAILURES]: '3+0x100 3+1x20' }),
    fires: ['SpmsRedisConnectionFailures'],
  },
  {
    what: 'a Redis that was restarted',
    series: but({ [UP]: '1+0x117 0 1+0x9', [FAILURES]: '3+0x117 4+0x9' }),
    fires: [],
  },
  {
    what: 'an open circuit breaker',
    series: but({ [`spms_redis_breaker_open{${API}}`]: lately(0, 5, 1) }),
    fires: ['SpmsBreakerOpen'],
  },
  {
    what: 'a circuit breaker that was open briefly',
    series: but({ [`spms_redis_breaker_open{${API}}`]: '0+0x118 1 0+0x9' }),
    fires: [],
  },
  {
    what: 'a Redis that is nearly full',
    series: but({ spms_redis_memory_used_bytes: lately(700, 30, 810) }),
    fires: ['SpmsRedisMemoryHigh'],
  },
  {
    what: 'a Redis without a memory limit',
    series: but({ spms_redis_memory_max_bytes: always(0) }),
    fires: [],
  },
  {
    what: 'a hit rate of 40 %',
    series: but({ [READS('hit')]: rising(40), [READS('miss')]: rising(60) }),
    fires: ['SpmsHitRateLow'],
  },
  {
    what: 'reads without any hit',
    series: but({ [READS('hit')]: null }),
    fires: ['SpmsHitRateLow'],
  },
  {
    what: 'a rollout in which most resources are not cached',
    series: but({
      'spms_cache_reads_total{resource="user:me", outcome="bypass", detail="off"}': rising(5000),
    }),
    fires: [],
  },
  {
    what: 'a low hit rate with little traffic',
    series: but({ [READS('hit')]: rising(1), [READS('miss')]: rising(9) }),
    fires: [],
  },
  {
    what: 'notifications that are not consumed',
    series: but({ spms_notify_queue_usage_ratio: lately(0, 15, 0.3) }),
    fires: ['SpmsNotifyQueueFilling'],
  },
  {
    what: 'notifications that are consumed late',
    series: but({ spms_notify_queue_usage_ratio: lately(0, 4, 0.3) }),
    fires: [],
  },
  {
    what: 'an event log that is never pruned',
    series: but({ spms_event_log_oldest_seconds: '0+30x130' }),
    fires: ['SpmsEventLogNotEmptied'],
  },
  {
    what: 'an event log that was retained during an outage of Redis',
    series: but({ spms_event_log_oldest_seconds: always(2400) }),
    fires: [],
  },
  {
    what: 'one of ten requests that fails',
    series: but({ [REQUESTS(503)]: rising(110) }),
    fires: ['SpmsErrors'],
  },
  {
    what: 'many requests with status 404',
    series: but({ [REQUESTS(404)]: rising(500) }),
    fires: [],
  },
]

interface Alert {
  readonly alert: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}

describe('alerts', function () {
  this.timeout(180_000)
  let promtool: Promtool
  let alerts: readonly Alert[]
  let folder: string

  before(async function () {
    const found = await openPromtool()
    // promtool is neither on PATH nor can apt-get download it.
    if (found === null) this.skip()
    promtool = found
    folder = await mkdtemp(join(tmpdir(), 'spms-alerts-'))
    const { groups } = parse(await readFile(RULES, 'utf8')) as {
      groups: { rules: readonly Alert[] }[]
    }
    alerts = groups.flatMap(({ rules }) => rules)
  })
  after(async () => {
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  it('are valid Prometheus rules', async () => {
    await promtool('check', 'rules', RULES)
  })

  it('fire in the expected scenarios, and no others fire', async () => {
    const file = join(folder, 'scenarios.json')
    const tests = SCENARIOS.map(({ what, series, fires }) => ({
      name: what,
      interval: '30s',
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
          eval_time: '1h',
          exp_samples: fires.map((alertname) => ({
            labels: `{alertname="${alertname}"}`,
            value: 1,
          })),
        },
      ],
    }))
    // JSON is YAML.
    await writeFile(
      file,
      JSON.stringify({ rule_files: [RULES], evaluation_interval: '30s', tests }),
    )
    await promtool('test', 'rules', file)
  })

  it('fire in at least one scenario each', () => {
    const fired = new Set(SCENARIOS.flatMap(({ fires }) => fires))
    expect([...fired].toSorted()).to.deep.equal(alerts.map(({ alert }) => alert).toSorted())
  })

  it('have a severity, a summary and a runbook section each, and the runbook has no other alerts', async () => {
    const runbook = await readFile(join(root, 'docs/runbook.md'), 'utf8')
    const sections = runbook.split(/^## /m).slice(1)
    const byName = new Map(sections.map((text) => [text.split('\n')[0] ?? '', text]))
    expect([...byName.keys()].filter((name) => name.startsWith('Spms')).toSorted()).to.deep.equal(
      alerts.map(({ alert }) => alert).toSorted(),
    )
    for (const { alert, labels, annotations } of alerts) {
      expect(labels.severity).to.be.oneOf(['critical', 'warning'])
      expect(annotations.summary).to.not.equal('')
      expect(annotations.runbook_url).to.equal(`docs/runbook.md#${alert.toLowerCase()}`)
      for (const part of ['**Means:**', '**Look:**', '**Do:**']) {
        expect(byName.get(alert), alert).to.include(part)
      }
    }
  })
})
