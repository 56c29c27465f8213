import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { root } from '../../scripts/paths.ts'
import { startCli } from '../support/cli.ts'
import { startSystem, type System } from '../support/system.ts'
import { testRedisUrl } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { labelsIn, metricsIn, readExpressions } from './expressions.ts'
import { Scrape } from './scrape.ts'

/** Given by Prometheus itself. */
const GIVEN = ['job', 'instance']

/** A process that verifies what a system caches, and where it says what it found. */
async function startVerify(system: System) {
  const target = { ...system, redisUrl: testRedisUrl() }
  const child = await startCli(target, 'verify', '--watch')
  for await (const line of createInterface({ input: child.stdout })) {
    const [, port] = /metrics on port (\d+)/.exec(line) ?? []
    if (port !== undefined) {
      return {
        scrape: async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
        async stop() {
          const ended = once(child, 'exit')
          child.kill('SIGTERM')
          await ended
        },
      }
    }
  }
  throw new Error('verify ended')
}

describe('what the running processes tell Prometheus', function () {
  this.timeout(120_000)
  let system: System
  let verify: Awaited<ReturnType<typeof startVerify>>
  let scrape: Scrape

  before(async () => {
    system = await startSystem()
    verify = await startVerify(system)
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 1`,
    )
    const path = `users/staffprofiles/${rows[0]?.id}`
    const lookAt = async () => {
      scrape = new Scrape([...(await system.scrape()), await verify.scrape()])
    }
    await until(async () => {
      // Whoever asks while another loads waits for that one.
      await Promise.all(Array.from({ length: 20 }, () => system.get(path)))
      await system.sql.query(
        `update users_publicstaffprofile set about = about || '.' where id = $1`,
        [rows[0]?.id],
      )
      await lookAt()
      return [
        'spms_cache_lease_waits_total',
        'spms_invalidated_keys_total',
        'spms_verified_total',
        'spms_event_backlog',
        'spms_watermark_age_seconds',
      ].every((name) => scrape.find(name).length > 0)
    })
  })
  after(async () => {
    await verify?.stop()
    await system?.[Symbol.asyncDispose]()
  })

  it('is all that panels and alerts ask for', async () => {
    const names = new Set(scrape.samples.map(({ name }) => name))
    for (const { of, text } of await readExpressions()) {
      const asked = metricsIn(text)
      expect(asked, of).to.not.be.empty
      expect(
        asked.filter((name) => !names.has(name)),
        of,
      ).to.deep.equal([])
    }
  })

  it('has the labels that they choose and group by', async () => {
    for (const { of, text } of await readExpressions()) {
      const asked = metricsIn(text)
      const known = scrape.samples
        .filter(({ name }) => asked.includes(name))
        .flatMap(({ labels }) => Object.keys(labels))
      const unknown = labelsIn(text).filter((label) => ![...GIVEN, ...known].includes(label))
      expect(unknown, of).to.deep.equal([])
    }
  })

  it('is nothing that no panel, no alert and no line of the runbook looks at', async () => {
    const runbook = await readFile(join(root, 'docs/runbook.md'), 'utf8')
    const texts = [...(await readExpressions()).map(({ text }) => text), runbook]
    const used = new Set(texts.flatMap(metricsIn).map((name) => scrape.metricOf(name)))
    expect([...scrape.types.keys()].filter((metric) => !used.has(metric))).to.deep.equal([])
  })

  it('says what each metric is, in base units', () => {
    for (const [metric, type] of scrape.types) {
      if (type === 'counter') expect(metric).to.match(/_total$/)
      expect(metric).to.not.match(/_(ms|millis|milliseconds|percent|kb|mb|minutes)(_|$)/)
    }
  })
})
