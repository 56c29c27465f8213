import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { root } from '../../scripts/paths.ts'
import { startCli } from '../support/cli.ts'
import { startSystem, type System } from '../support/system.ts'
import { testRedisUrl } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { labelsIn, metricsIn, readExpressions } from './expressions.ts'
import { Scrape } from './scrape.ts'

const LOOK_EVERY_MS = 200
const LOOKS_PER_CHANGE = 10
/** Labels that Prometheus adds. */
const ADDED = ['job', 'instance']

/** Starts `verify --watch` for a system and returns its metrics endpoint. */
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

describe('exported metrics', function () {
  this.timeout(300_000)
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
    const untilExported = (names: readonly string[], act: () => Promise<unknown>) =>
      until(async () => {
        await act()
        await lookAt()
        return names.every((name) => scrape.find(name).length > 0)
      })
    // Concurrent requests for one entry wait for the lease of the first.
    await untilExported(
      ['spms_cache_lease_waits_total', 'spms_invalidated_keys_total'],
      async () => {
        await Promise.all(Array.from({ length: 20 }, () => system.get(path)))
        await system.sql.query(
          `update users_publicstaffprofile set about = about || '.' where id = $1`,
          [rows[0]?.id],
        )
      },
    )
    // These appear with time. `verify` compares entries 1, 10 and 60 s after a change. This change does not
    // concern the entry, so it stays cached.
    const measured = ['spms_verified_total', 'spms_event_backlog', 'spms_watermark_age_seconds']
    let looks = 0
    await untilExported(measured, async () => {
      await system.get(path)
      if (looks++ % LOOKS_PER_CHANGE === 0) {
        await system.sql.query(
          `update agencies_branch set name = name || '.' where id = (select min(id) from agencies_branch)`,
        )
      }
      await sleep(LOOK_EVERY_MS)
    })
  })
  after(async () => {
    await verify?.stop()
    await system?.[Symbol.asyncDispose]()
  })

  it('include all metrics of panels and alerts', async () => {
    const names = new Set(scrape.samples.map(({ name }) => name))
    for (const { of, text } of await readExpressions()) {
      const queried = metricsIn(text)
      expect(queried, of).to.not.be.empty
      expect(
        queried.filter((name) => !names.has(name)),
        of,
      ).to.deep.equal([])
    }
  })

  it('have the labels that panels and alerts select and group by', async () => {
    for (const { of, text } of await readExpressions()) {
      const queried = metricsIn(text)
      const known = scrape.samples
        .filter(({ name }) => queried.includes(name))
        .flatMap(({ labels }) => Object.keys(labels))
      const unknown = labelsIn(text).filter((label) => ![...ADDED, ...known].includes(label))
      expect(unknown, of).to.deep.equal([])
    }
  })

  it('are each used in a panel, an alert or the runbook', async () => {
    const runbook = await readFile(join(root, 'docs/runbook.md'), 'utf8')
    const texts = [...(await readExpressions()).map(({ text }) => text), runbook]
    const used = new Set(texts.flatMap(metricsIn).map((name) => scrape.metricOf(name)))
    expect([...scrape.types.keys()].filter((metric) => !used.has(metric))).to.deep.equal([])
  })

  it('use base units and the suffix _total for counters', () => {
    for (const [metric, type] of scrape.types) {
      if (type === 'counter') expect(metric).to.match(/_total$/)
      expect(metric).to.not.match(/_(ms|millis|milliseconds|percent|kb|mb|minutes)(_|$)/)
    }
  })
})
