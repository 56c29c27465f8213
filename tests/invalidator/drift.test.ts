import { expect } from 'chai'
import {
  beginReading,
  createInspection,
  install,
  type Installation,
} from '../../db/event-log/index.ts'
import { retireBuilds } from '../../db/event-log/installation/retire.ts'
import { openInstaller } from '../../db/event-log/installation/installer.ts'
import { sharedBodies } from '../../db/event-log/installation/shared-functions.ts'
import { compileRules, decodeWatermark, DISABLED } from '../../shared/cache/index.ts'
import { createResourceCheck } from '../../invalidator/check-resources.ts'
import { createResourceStates } from '../../invalidator/resource-states.ts'
import { createLogger } from '../../shared/logger.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { openWorker, type TestWorker } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, census, type Entries, entriesOf, nest, openBirds } from './birds.ts'

const SHARED_FUNCTION = `create or replace function invalidation.log_truncate() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$${sharedBodies.get('invalidation.log_truncate')}$$`

/** Only the resource `bird` reads the table `nest`; all three read the table `bird`. */
describe('checks of triggers', () => {
  let log: EventLog
  let worker: TestWorker
  let entries: Entries

  beforeEach(async () => {
    log = await openBirds()
    await log.client.query(`insert into bird values (1, 'wren', 9, '{}', 2)`)
    worker = await openWorker({ databaseUrl: log.url, catalog: BIRDS, inspectEveryMs: 0 })
    entries = entriesOf(worker.redis, worker.prefix)
    worker.worker.acquire(BIRDS)
    await apply()
  })
  afterEach(async () => {
    await worker[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })

  const sql = (text: string) => log.client.query(text)
  const apply = () => worker.worker.applyWindow()
  const keys = () => [entries.key(bird, 9), entries.key(nest, 9), entries.key(census)]
  const keyVersions = async () =>
    Object.fromEntries(
      await Promise.all(
        BIRDS.map(async ({ name }) => [
          name,
          decodeWatermark(await worker.invalidationStore.read(name))?.keyVersion,
        ]),
      ),
    )

  const ALL = { bird: 1, nest: 1, census: 1 }
  const NONE = { bird: DISABLED, nest: DISABLED, census: DISABLED }
  const ALL_BUT_BIRD = { bird: DISABLED, nest: 1, census: 1 }

  it('flush nothing while triggers are unchanged', async () => {
    expect(await entries.gone(keys(), async () => void (await apply(), await apply()))).to.eql([])
    expect(await keyVersions()).to.eql(ALL)
  })

  it('are made once for each inspection, and not in each window', async () => {
    const inspect = createInspection()
    const states = createResourceStates({
      metrics: worker.metrics,
      buckets: 1,
      written: new Map(),
    })
    states.acquire(BIRDS)
    const logger = createLogger('test')
    logger.silent = true
    const check = createResourceCheck({ states, logger })
    const readSnapshot = await beginReading(log.client)
    await sql('commit')
    const since = () => Promise.reject(new Error('no window is read'))
    const resultsWith = (installation: Installation) => {
      check({ readSnapshot, installation, since })
      return states.all().map(({ triggerHealth }) => triggerHealth)
    }
    const installation = await inspect(log.client)
    const first = resultsWith(installation)
    resultsWith(installation).forEach((health, at) => expect(health).to.equal(first[at]))
    states.acquire([bird])
    const [again] = resultsWith(installation)
    expect(again, 'for an acquired resource').to.eql(first[0])
    await sql('alter table nest disable trigger zz_invalidation_update')
    expect(resultsWith(await inspect(log.client))[0]?.keyVersion).to.equal(DISABLED)
  })

  for (const [what, damage, repair, meanwhile] of [
    [
      'disabled',
      'alter table nest disable trigger zz_invalidation_update',
      'alter table nest enable always trigger zz_invalidation_update',
      ALL_BUT_BIRD,
    ],
    [
      'all disabled',
      'alter table bird disable trigger user',
      ['insert', 'update', 'delete', 'truncate']
        .map((verb) => `alter table bird enable always trigger zz_invalidation_${verb}`)
        .join(';'),
      NONE,
    ],
    [
      'not firing for replication',
      'alter table nest enable trigger zz_invalidation_delete',
      'alter table nest enable always trigger zz_invalidation_delete',
      ALL_BUT_BIRD,
    ],
    [
      'with a replaced shared function',
      `create or replace function invalidation.log_truncate() returns trigger language plpgsql
         security definer set search_path = pg_catalog, pg_temp as 'begin return null; end'`,
      SHARED_FUNCTION,
      NONE,
    ],
    [
      'on a renamed table whose name a new table has',
      'alter table nest rename to nest_1; create table nest (like nest_1)',
      'drop table nest; alter table nest_1 rename to nest',
      ALL_BUT_BIRD,
    ],
  ] as const) {
    it(`that are ${what} disable resources until their repair, which flushes them`, async () => {
      await sql(damage)
      await apply()
      expect(await keyVersions()).to.eql(meanwhile)
      await sql(repair)
      expect(await entries.gone(keys(), apply)).to.include(entries.key(bird, 9))
      expect(await keyVersions()).to.eql(ALL)
    })

    it(`that were ${what} and repaired between two checks flush resources`, async () => {
      await sql(damage)
      await sql(repair)
      expect(await entries.gone(keys(), apply)).to.include(entries.key(bird, 9))
      expect(await keyVersions()).to.eql(ALL)
      expect(await entries.gone(keys(), apply)).to.eql([])
    })

    it(`that were ${what} and repaired while no worker ran flush resources`, async () => {
      await worker[Symbol.asyncDispose]()
      const { prefix } = worker
      await sql(damage)
      await sql(repair)
      worker = await openWorker({ databaseUrl: log.url, catalog: BIRDS, prefix })
      entries = entriesOf(worker.redis, prefix)
      worker.worker.acquire(BIRDS)
      expect(await entries.gone(keys(), apply)).to.include(entries.key(bird, 9))
      expect(await keyVersions()).to.eql(ALL)
    })
  }

  for (const [what, change, concerned] of [
    ['a column is recreated', `alter table nest drop place, add place text default 'ash'`, [bird]],
    ['a table is rewritten', `alter table bird alter weight type real`, BIRDS],
  ] as const) {
    it(`are assumed after ${what}, which flushes the resources of the table`, async () => {
      await sql(change)
      expect(await entries.gone(keys(), apply)).to.have.members(
        concerned.map((resource) => entries.key(resource, resource === census ? '' : 9)),
      )
    })
  }

  it('are repaired by install', async () => {
    await sql('drop trigger zz_invalidation_update on nest')
    await apply()
    expect(await keyVersions()).to.eql(ALL_BUT_BIRD)
    await log.install(compileRules(BIRDS))
    await apply()
    expect(await keyVersions()).to.eql(ALL)
  })

  it('are not reported after an install without changes, so nothing is flushed', async () => {
    await log.install(compileRules(BIRDS))
    expect(await entries.gone(keys(), apply)).to.eql([])
  })

  it('are reported for rules without triggers until these are installed', async () => {
    const wider = {
      ...census,
      staleWhen: [...census.staleWhen, { table: 'ring', watch: ['colour'], key: {} }],
    }
    await using next = await openWorker({
      databaseUrl: log.url,
      catalog: [wider],
      inspectEveryMs: 0,
    })
    next.worker.acquire([wider])
    const keyVersion = async () => {
      await next.worker.applyWindow()
      return decodeWatermark(await next.invalidationStore.read(wider.name))?.keyVersion
    }
    expect(await keyVersion()).to.equal(DISABLED)
    await install(log.url, compileRules([bird, nest, wider]))
    expect(await keyVersion()).to.equal(1)
  })

  it('do not affect other builds while an install waits for a writer to change them', async () => {
    const wider = {
      ...census,
      staleWhen: [...census.staleWhen, { table: 'bird', watch: ['last_seen'], key: {} }],
    }
    const { prefix } = worker
    await using next = await openWorker({
      databaseUrl: log.url,
      catalog: [wider],
      prefix,
      inspectEveryMs: 0,
    })
    const writer = await log.connect()
    await writer.query('begin; insert into bird values (2)')
    const installing = log.install(compileRules([bird, nest, wider]))
    await until(async () => {
      const { rows } = await sql('select max(version) as version from invalidation.rules')
      return rows[0]?.version === 2
    })
    await apply()
    expect(await keyVersions()).to.eql(ALL)
    worker.worker.release([census])
    next.worker.acquire([wider])
    await next.worker.applyWindow()
    expect(await keyVersions()).to.eql({ ...ALL, census: DISABLED })

    await writer.query('commit')
    await installing
    expect(await entries.gone(keys(), apply)).to.have.members([
      entries.key(bird, 9),
      entries.key(nest, 9),
    ])
    await next.worker.applyWindow()
    expect(await keyVersions()).to.eql(ALL)
  })

  it('disable the resources of a retired build until it is installed again', async () => {
    {
      await using installer = await openInstaller(log.url)
      await retireBuilds(installer)
    }
    await apply()
    expect(await keyVersions()).to.eql(NONE)
    await log.install(compileRules(BIRDS))
    expect(await entries.gone(keys(), apply)).to.have.members(keys())
    expect(await keyVersions()).to.eql(ALL)
  })
})
