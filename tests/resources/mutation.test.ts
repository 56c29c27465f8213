import { expect } from 'chai'
import { array, assert, asyncProperty, boolean, constantFrom, tuple } from 'fast-check'
import { sql, type Transaction } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import type { Database } from '../../db/schema.ts'
import { entryKey } from '../../shared/cache/index.ts'
import { type Example, type Source, sourceOf } from '../support/closure.ts'
import type { Resource } from '../../shared/resources/cache.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { LONG } from '../support/long.ts'
import { applyMutation, listMutations, type Mutation } from '../support/mutations.ts'
import { openPrepared } from '../support/prepared.ts'
import {
  changesBetween,
  columnsChanged,
  entriesNamed,
  type Image,
  retakeTable,
  type RowChange,
  takeImage,
  undo,
} from '../support/row-changes.ts'
import { buildDenseWorld, worldEntries } from './dense-world.ts'

interface CachedAnswer {
  readonly resource: string
  readonly key: string
  readonly body: string | null
}

/** The answers that the cache would store, by entry and variant. */
type Cache = ReadonlyMap<string, CachedAnswer>

interface State {
  readonly image: Image
  readonly cache: Cache
}

const RANDOM_RUNS = LONG ? 200 : 10

// Every change is rolled back, so that all changes start from the same rows.
describe('rules of all resources', function () {
  this.timeout(900_000)

  let database: TestDatabase
  let db: Transaction<Database>
  let mutations: readonly Mutation[]
  let start: State
  const sources = new Map<string, Source>()
  const rules = worldEntries.flatMap(({ resource: { name, staleWhen } }) =>
    staleWhen.map((rule) => ({ ...rule, resource: name })),
  )
  const watched = new Set(rules.map(({ table }) => table))

  before(async () => {
    database = await createTestDatabase({ installed: true })
    const filling = openDatabase({ url: database.url, poolSize: 1, applicationName: 'filling' })
    await buildDenseWorld(filling)
    await filling.destroy()
    db = await openPrepared(database.url)
    for (const { resource, examples } of worldEntries) {
      sources.set(resource.name, await sourceOf(database.url, resource, examples))
    }
    start = await readState()
    mutations = await listMutations(db, start.image)
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  it('name each entry whose answer a mutation changes, and watch no column without effect', async () => {
    const missed: string[] = []
    const effects = new Set<string>()
    await inRolledBack(async () => {
      for (const mutation of mutations) {
        await sql`savepoint mutation`.execute(db)
        const end = (await isApplied(db, mutation)) ? await readState(start, mutation) : start
        const changes = changesBetween(start.image, end.image)
        const named = await namedBy(db, changes)
        await sql`rollback to savepoint mutation`.execute(db)
        const namedBack = await namedBy(db, undo(changes))

        const title = JSON.stringify(mutation)
        for (const { key, resource } of changedIn(start.cache, end.cache)) {
          effects.add(`${resource} ${mutation.table} ${mutation.column}`)
          if (!named.has(key)) missed.push(`${key} after ${title}`)
        }
        for (const { key } of changedIn(end.cache, start.cache)) {
          if (!namedBack.has(key)) missed.push(`${key} after the undoing of ${title}`)
        }
      }
    })
    expect(missed).to.deep.equal([])
    const unused = rules.flatMap(({ resource, table, watch }) =>
      watch
        .map((column) => `${resource} ${table} ${column}`)
        .filter((column) => !effects.has(column)),
    )
    expect(unused).to.deep.equal([])
  })

  it('name each changed entry if one window cuts a link and changes the row behind it', async () => {
    const pairs = mutations.flatMap((cut) => {
      const behind = mutations.filter(({ table, id }) => cut.cuts.includes(`${table} ${id}`))
      return behind.length > 0 ? { cut, behind } : []
    })
    const pair = tuple(constantFrom(...pairs), boolean()).chain(([{ cut, behind }, isCutFirst]) =>
      constantFrom(...behind).map((change) => (isCutFirst ? [cut, change] : [change, cut])),
    )
    await assert(
      asyncProperty(pair, (several) => inRolledBack(() => checkWindow(several))),
      { numRuns: RANDOM_RUNS },
    )
  })

  it('name each changed entry if one window contains several mutations', async () => {
    const several = array(constantFrom(...mutations), { minLength: 2, maxLength: 4 })
    await assert(
      asyncProperty(several, (changes) => inRolledBack(() => checkWindow(changes))),
      { numRuns: RANDOM_RUNS },
    )
  })

  /** Checks that one window of mutations names the entries that were filled before each of them. */
  async function checkWindow(several: readonly Mutation[]) {
    const states = [start]
    for (const mutation of several) {
      if (await isApplied(db, mutation)) states.push(await readState(states.at(-1), mutation))
    }
    const end = states.at(-1) ?? start
    let later: RowChange[] = []
    for (const [at, state] of [...states.entries()].toReversed()) {
      later = [...changesBetween(state.image, (states[at + 1] ?? state).image), ...later]
      const named = await namedBy(db, later)
      const missed = changedIn(state.cache, end.cache).filter(({ key }) => !named.has(key))
      expect(missed).to.deep.equal([])
    }
  }

  /** Reads the answers that a mutation may have changed since `known`; without it, all answers. */
  async function readState(known?: State, mutation?: Mutation): Promise<State> {
    const image =
      known && mutation?.column
        ? await retakeTable(db, known.image, mutation.table)
        : await takeImage(db, watched)
    const changes = known && changesBetween(known.image, image)
    const cache = new Map(known?.cache)
    const read = async (resource: Resource, { params, variant }: Example) => {
      const answer = await resource.load(db, params, variant)
      const key = entryKey('test', resource, params)
      if (answer?.cacheable === false) cache.delete(`${key} ${variant}`)
      else
        cache.set(`${key} ${variant}`, {
          resource: resource.name,
          key,
          body: answer?.body ?? null,
        })
    }
    const affected = worldEntries.filter(({ resource: { name } }) => {
      const source = sources.get(name)
      return !changes || !source || changes.some((change) => mayAffect(source, change))
    })
    await Promise.all(
      affected.flatMap(({ resource, examples }) =>
        examples.map((example) => read(resource, example)),
      ),
    )
    return { image, cache }
  }

  async function inRolledBack(work: () => Promise<void>): Promise<void> {
    await sql`begin`.execute(db)
    try {
      await work()
    } finally {
      await sql`rollback`.execute(db)
    }
  }
})

/** Returns whether a change may affect an answer that reads this source. */
const mayAffect = ({ tables, words }: Source, change: RowChange): boolean =>
  tables.has(change.table) && columnsChanged(change).some((column) => words.has(column))

/** Applies a mutation, and returns whether the database accepted it. */
async function isApplied(trx: Transaction<Database>, mutation: Mutation): Promise<boolean> {
  await sql`savepoint attempt`.execute(trx)
  try {
    await applyMutation(trx, mutation)
    return true
  } catch {
    await sql`rollback to savepoint attempt`.execute(trx)
    return false
  }
}

async function namedBy(
  trx: Transaction<Database>,
  changes: readonly RowChange[],
): Promise<Set<string>> {
  const named = await Promise.all(
    worldEntries.map(({ resource }) => entriesNamed(trx, resource, changes)),
  )
  return new Set(named.flatMap((keys) => [...keys]))
}

const changedIn = (before: Cache, after: Cache): CachedAnswer[] =>
  [...before].filter(([id, { body }]) => after.get(id)?.body !== body).map(([, cached]) => cached)
