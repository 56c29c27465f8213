import { expect } from 'chai'
import { beginReading, readRules, readWindow } from '../../db/event-log/index.ts'
import { createMapping } from '../../invalidator/mapping.ts'
import { compileRules, decodeWatermark, type ResourceRules } from '../../shared/cache/index.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { openWorker, type TestWorker } from '../support/invalidator.ts'
import { bird, BIRDS, census, type Entries, entriesOf, nest, openBirds } from './birds.ts'

/** Also depends on `last_seen`, the first watched column of the table. */
const seenBird: ResourceRules = {
  ...bird,
  version: 2,
  staleWhen: [
    ...bird.staleWhen,
    { table: 'bird', watch: ['last_seen'], key: { id: 'id' } },
    { table: 'ring', watch: ['colour'], key: { id: 'bird_id' } },
  ],
}
/** Exists only in the newer build; its column precedes `nest_id` in each event's keys. */
const namesakes: ResourceRules = {
  name: 'namesakes',
  version: 1,
  key: 'namesakes:{id}',
  staleWhen: [{ table: 'bird', watch: ['name'], key: { id: 'name' } }],
}
/** Follows the same rules with another key version. */
const laterCensus: ResourceRules = { ...census, version: 2 }
const NEWER = [seenBird, nest, laterCensus, namesakes]

describe('two builds with one event log', () => {
  let log: EventLog
  let opened: AsyncDisposable[]

  beforeEach(async () => {
    opened = []
    log = await openBirds()
    await log.client.query(
      `insert into bird values (1, 'wren', 9, '{}', 2), (4, 'tit', 9, '{}', 5);
       insert into ring values (1, 'a', 'red')`,
    )
  })
  afterEach(async () => {
    for (const one of opened) await one[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })

  interface Replica extends TestWorker, Entries {
    apply(): Promise<number>
  }

  async function open(catalog: readonly ResourceRules[], prefix?: string): Promise<Replica> {
    const one = await openWorker({
      databaseUrl: log.url,
      catalog,
      inspectEveryMs: 0,
      ...(prefix !== undefined && { prefix }),
    })
    opened.push(one)
    return { ...one, ...entriesOf(one.redis, one.prefix), apply: () => one.worker.applyWindow() }
  }

  const write = (sql: string) => log.client.query(sql)
  const keyVersionOf = async ({ invalidationStore }: TestWorker, resource: ResourceRules) =>
    decodeWatermark(await invalidationStore.read(resource.name))?.keyVersion

  /** Returns how a build maps all events that an action logs. */
  async function mapped(
    { session, prefix }: TestWorker,
    catalog: readonly ResourceRules[],
    act: () => Promise<unknown>,
  ) {
    const { snapshot } = await beginReading(session.client)
    await session.client.query('commit')
    await act()
    await beginReading(session.client)
    const { events } = await readWindow(session.client, snapshot)
    const rules = await readRules(session.client)
    await session.client.query('commit')
    const { keys, flush, lookups } = createMapping(catalog, rules, prefix).map(
      events,
      catalog,
      false,
    )
    return {
      versions: [...new Set(events.map(({ version }) => version))],
      keys: [...keys.values()].flatMap((some) => [...some]),
      flush: Object.fromEntries(flush),
      lookups: lookups.map(({ values }) => values),
    }
  }

  it('the newer build maps events of the older triggers by column names', async () => {
    const newer = await open(NEWER)
    const seen = await mapped(newer, NEWER, async () => {
      await write(
        `update bird set nest_id = 3 where id = 1; update nest set place = 'x' where id = 5`,
      )
      await write(`insert into bird values (6, 'owl', 1, '{}', 4)`)
      await log.install(compileRules(NEWER))
    })
    expect(seen.versions).to.eql([1])
    expect(seen.keys).to.have.members([
      newer.key(seenBird, 1),
      newer.key(nest, 2),
      newer.key(nest, 3),
      newer.key(seenBird, 6),
      newer.key(nest, 4),
      newer.key(laterCensus),
    ])
    expect(seen.lookups).to.eql([[['5']]])
    expect(seen.flush, 'the older triggers do not report names').to.eql({
      namesakes: 'unknown version',
    })
  })

  it('the older build maps events of the combined triggers and ignores columns that it does not watch', async () => {
    await log.install(compileRules(NEWER))
    const older = await open(BIRDS)
    const seen = await mapped(older, BIRDS, async () => {
      await write(`update bird set last_seen = now(); update ring set colour = 'blue'`)
      await write(`update bird set nest_id = 3 where id = 1`)
      await write(`update bird set weight = 3 where id = 4`)
    })
    expect(seen.versions).to.eql([2])
    expect(seen.keys).to.have.members([
      older.key(bird, 1),
      older.key(nest, 2),
      older.key(nest, 3),
      older.key(bird, 4),
      older.key(census),
    ])
    expect(seen.flush).to.eql({})
  })

  it('flush only entries of changed resources when they hand them back and forth', async () => {
    await log.install(compileRules(NEWER))
    const older = await open(BIRDS)
    const newer = await open(NEWER, older.prefix)
    older.worker.acquire(BIRDS)
    newer.worker.acquire([namesakes])
    await older.apply()
    await newer.apply()
    const both = [older.key(nest, 2), newer.key(namesakes, 'wren')]
    const olders = [older.key(bird, 9), older.key(census)]
    const newers = [newer.key(seenBird, 9), newer.key(laterCensus)]

    for (let round = 0; round < 3; round++) {
      older.worker.release([bird, census])
      newer.worker.acquire([seenBird, laterCensus])
      expect(await newer.gone([...newers, ...olders, ...both], () => newer.apply())).to.eql(newers)
      expect(await keyVersionOf(newer, seenBird)).to.equal(2)
      expect(await keyVersionOf(newer, laterCensus)).to.equal(2)
      const seen = [newer.key(seenBird, 4), ...newers, ...olders, ...both]
      expect(
        await newer.gone(seen, async () => {
          await write('update bird set last_seen = clock_timestamp() where id = 4')
          await newer.apply()
          await older.apply()
        }),
      ).to.eql([newer.key(seenBird, 4)])

      newer.worker.release([seenBird, laterCensus])
      older.worker.acquire([bird, census])
      expect(await older.gone([...olders, ...newers, ...both], () => older.apply())).to.eql(olders)
      expect(await keyVersionOf(older, bird)).to.equal(1)
      expect(await keyVersionOf(older, census)).to.equal(1)
    }
  })

  it('flush a resource at handover if their rules for it differ', async () => {
    const moreOften: ResourceRules = {
      ...nest,
      staleWhen: [...nest.staleWhen, { table: 'bird', watch: ['weight'], key: { id: 'nest_id' } }],
    }
    const corrected = [bird, moreOften, census]
    await log.install(compileRules(corrected))
    const older = await open(BIRDS)
    const newer = await open(corrected, older.prefix)
    older.worker.acquire(BIRDS)
    await older.apply()
    const entry = older.key(nest, 2)
    expect(
      await older.gone([entry], async () => {
        await write('update bird set weight = 1 where nest_id = 2')
        await older.apply()
      }),
      'the older build does not watch the column',
    ).to.eql([])
    older.worker.release([nest, bird])
    newer.worker.acquire([moreOften, bird])
    expect(await newer.gone([entry, older.key(bird, 9)], () => newer.apply())).to.eql([entry])
    expect(await newer.gone([entry], () => newer.apply())).to.eql([])
  })
})
