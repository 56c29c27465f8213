import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { EventLog } from '../event-log/event-log.ts'
import { startInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { BIRDS, findSleepLockHolders, openBirds } from './birds.ts'

const REPLICAS = Number(process.env.IDLE_REPLICAS ?? 3)
const SECONDS = 4

describe('idle replicas', function () {
  this.timeout(60_000)
  let log: EventLog

  before(async () => {
    log = await openBirds()
  })
  after(() => log[Symbol.asyncDispose]())

  it('need fewer than seven transactions a second each while all are idle', async () => {
    const first = startInvalidator({ databaseUrl: log.url, catalog: BIRDS })
    const { prefix } = first
    // As in production, where a replica leaves the queue for the sleep lock every few seconds.
    const more = { databaseUrl: log.url, catalog: BIRDS, prefix, sleepLockWaitMs: 4_500 }
    const others = Array.from({ length: REPLICAS - 1 }, () => startInvalidator(more))
    await using replicas = disposeOf([first, ...others])
    await until(
      async () => (await findSleepLockHolders(log.client)).length >= Math.min(REPLICAS, 3),
    )

    const commits = async () => {
      // A backend reports its statistics once a second, with its next statement. Without this
      // pause the test's own statements would count as those of the replicas.
      await sleep(1_200)
      await log.client.query('select 1')
      const { rows } = await log.client.query<{ commits: string }>(
        'select xact_commit as commits from pg_stat_database where datname = current_database()',
      )
      return Number(rows[0]?.commits)
    }
    const [before, startedAtMs] = [await commits(), performance.now()]
    await sleep(SECONDS * 1_000)
    const count = (await commits()) - before
    const perS = count / ((performance.now() - startedAtMs) / 1_000)
    if (process.env.IDLE_REPLICAS) process.stderr.write(`      ${perS.toFixed(1)} transactions/s\n`)
    expect(perS / replicas.count).to.be.below(7)
  })
})

const disposeOf = (all: readonly AsyncDisposable[]) => ({
  count: all.length,
  async [Symbol.asyncDispose]() {
    await Promise.all(all.map((one) => one[Symbol.asyncDispose]()))
  },
})
