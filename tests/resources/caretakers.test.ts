import { expect } from 'chai'
import * as fc from 'fast-check'
import { type Kysely, sql, type Transaction } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findCare } from '../../db/queries/caretakers.ts'
import type { Database } from '../../db/schema.ts'
import { entryKey } from '../../shared/cache/index.ts'
import { userProfile } from '../../shared/resources/index.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { LONG } from '../support/long.ts'
import { changesBetween, entriesNamed, takeImage } from '../support/row-changes.ts'
import type { Row } from '../support/tables.ts'
import { expectedCare } from './expected-care.ts'

const PEOPLE = ['1', '2', '3', '4', '5', '6', '7', '8'] as const
const RUNS = LONG ? 1_000 : 15

/** A caretaker relation between two users, with its end. */
interface Link {
  readonly user: string
  readonly caretaker: string
  readonly end: 'never' | 'later' | 'over'
}

const ENDS = {
  never: sql`null`,
  later: sql`'2101-01-01 08:00:00.000100+08'::timestamptz`,
  over: sql`'2001-01-01 08:00:00+08'::timestamptz`,
}

const person = fc.constantFrom(...PEOPLE)
const link = fc.record<Link>({
  user: person,
  caretaker: person,
  // More active than ended relations, so that chains grow long.
  end: fc.constantFrom('never', 'later', 'never', 'over'),
})
const links = fc.uniqueArray(link, {
  minLength: 4,
  maxLength: 14,
  selector: ({ user, caretaker }) => `${user} ${caretaker}`,
})
const change = fc.oneof(
  fc.record({ add: link }),
  fc.record({ cut: fc.nat() }),
  fc.record({ end: fc.nat() }),
  fc.record({ rename: person }),
  fc.record({ move: fc.nat(), to: person }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

describe('caretakers', function () {
  this.timeout(120_000)

  let database: TestDatabase
  let db: Kysely<Database>

  before(async () => {
    database = await createTestDatabase()
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'caretakers-test' })
    await sql`
      insert into users_user (id, password, username, display_first_name, email)
      select n, 'x', 'user' || n, 'Name' || n, n || '@spms.test' from generate_series(1, 8) n
    `.execute(db)
    await sql`
      insert into medias_useravatar (user_id, file) select n, n || '.png' from generate_series(1, 4) n
    `.execute(db)
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  it('are found in chains of at most five relations without cycles', async () => {
    await fc.assert(
      fc.asyncProperty(links, (some) =>
        inRolledBack(async (trx) => {
          await insertLinks(trx, some)
          const rows = await readRows(trx)
          for (const id of PEOPLE) {
            const { caretakers, caretakingFor } = await findCare(trx, id)
            const found = {
              caretakers: JSON.parse(caretakers) as unknown,
              caretaking_for: JSON.parse(caretakingFor) as unknown,
            }
            const wanted = expectedCare(rows.caretakers_caretaker, Number(id), (of) => ({
              display_first_name: `Name${String(of)}`,
              display_last_name: null,
              is_superuser: false,
              email: `${String(of)}@spms.test`,
              image: rows.medias_useravatar.some(({ user_id }) => user_id === of)
                ? `/files/${String(of)}.png`
                : null,
            }))
            expect(found).to.deep.equal(wanted)
          }
        }),
      ),
      { numRuns: RUNS },
    )
  })

  it('invalidate the profile of every user that shows a changed caretaker', async () => {
    await fc.assert(
      fc.asyncProperty(links, fc.array(change, { minLength: 1, maxLength: 3 }), (some, changes) =>
        inRolledBack(async (trx) => {
          await insertLinks(trx, some)
          const image = await takeImage(trx, TABLES)
          const before = await findAll(trx)
          for (const each of changes) await apply(trx, each)
          const after = await findAll(trx)
          // One window, in which links between the users may be deleted too.
          const later = changesBetween(image, await takeImage(trx, TABLES))
          const named = await entriesNamed(trx, userProfile, later)
          const missed = PEOPLE.filter(
            (user_id, at) =>
              before[at] !== after[at] && !named.has(entryKey('test', userProfile, { user_id })),
          )
          expect(missed).to.deep.equal([])
        }),
      ),
      { numRuns: RUNS },
    )
  })

  it('expire with the first relation of the chain that ends', async () => {
    await inRolledBack(async (trx) => {
      await insertLinks(trx, [
        { user: '1', caretaker: '2', end: 'never' },
        { user: '2', caretaker: '3', end: 'later' },
        { user: '4', caretaker: '3', end: 'never' },
      ])
      await sql`
        update caretakers_caretaker set end_date = now() + interval '90.0019 seconds'
        where user_id = 2
      `.execute(trx)
      expect((await findCare(trx, '1')).expiresInMs).to.equal(90_001)
      expect((await findCare(trx, '3')).expiresInMs).to.equal(90_001)
      // Users 2 and 4 share caretaker 3, but the relation of user 2 is not in the chain of user 4.
      expect((await findCare(trx, '4')).expiresInMs).to.equal(Infinity)
      expect((await findCare(trx, '8')).expiresInMs).to.equal(Infinity)
    })
  })

  it('do not include a user that is being deleted', async () => {
    await inRolledBack(async (trx) => {
      await insertLinks(trx, [
        { user: '1', caretaker: '2', end: 'never' },
        { user: '1', caretaker: '3', end: 'never' },
      ])
      // Foreign keys are checked at the commit, so the links still refer to user 2.
      await sql`update users_user set id = 9 where id = 2`.execute(trx)
      const ids = (JSON.parse((await findCare(trx, '1')).caretakers) as { id: number }[]).map(
        ({ id }) => id,
      )
      expect(ids).to.deep.equal([3])
    })
  })

  const findAll = async (trx: Transaction<Database>) => {
    const found: string[] = []
    for (const id of PEOPLE)
      found.push((await userProfile.load(trx, { user_id: id }, 'full'))?.body ?? '')
    return found
  }

  async function inRolledBack(work: (trx: Transaction<Database>) => Promise<void>): Promise<void> {
    const trx = await db.startTransaction().execute()
    try {
      await work(trx)
    } finally {
      await trx.rollback().execute()
    }
  }
})

const TABLES = ['caretakers_caretaker', 'medias_useravatar', 'users_user'] as const

/** Returns the rows of the tables, ordered by id. */
async function readRows(trx: Transaction<Database>) {
  const all = [...(await takeImage(trx, TABLES)).values()]
  const of = (wanted: string) =>
    all
      .filter(({ table }) => table === wanted)
      .map(({ row }) => row as Row)
      .toSorted((a, b) => Number(a['id']) - Number(b['id']))
  return {
    caretakers_caretaker: of('caretakers_caretaker'),
    medias_useravatar: of('medias_useravatar'),
  }
}

async function insertLinks(trx: Transaction<Database>, some: readonly Link[]): Promise<void> {
  for (const { user, caretaker, end } of some) {
    await sql`
      insert into caretakers_caretaker (user_id, caretaker_id, end_date)
      values (${user}, ${caretaker}, ${ENDS[end]})
      on conflict do nothing
    `.execute(trx)
  }
}

async function apply(trx: Transaction<Database>, change: Change): Promise<void> {
  if ('add' in change) return insertLinks(trx, [change.add])
  if ('rename' in change) {
    await sql`
      update users_user set display_first_name = display_first_name || '~' where id = ${change.rename}
    `.execute(trx)
    return
  }
  const { rows } = await sql<{ id: string; user_id: string }>`
    select id, user_id from caretakers_caretaker order by id
  `.execute(trx)
  const nth = 'cut' in change ? change.cut : 'end' in change ? change.end : change.move
  const row = rows[nth % Math.max(1, rows.length)]
  if (row === undefined) return
  if ('cut' in change) await sql`delete from caretakers_caretaker where id = ${row.id}`.execute(trx)
  else if ('end' in change) {
    await sql`update caretakers_caretaker set end_date = ${ENDS.over} where id = ${row.id}`.execute(
      trx,
    )
  } else {
    await sql`
      update caretakers_caretaker set caretaker_id = ${change.to}
      where id = ${row.id} and not exists (
        select from caretakers_caretaker where user_id = ${row.user_id} and caretaker_id = ${change.to}
      )
    `.execute(trx)
  }
}
