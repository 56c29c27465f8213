import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import type { Database } from '../../db/schema.ts'
import { userMe, userProfile } from '../../shared/resources/index.ts'
import { me, privateUser, user } from '../../shared/shapes/user.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { readTables, type Row, type Tables } from '../support/tables.ts'
import { createExpectedUser, EXPECTED_USER_TABLES } from './expected-user.ts'
import { createExpected, EXPECTED_TABLES } from './expected.ts'

const EVERY_NTH_USER = 30

describe('answers of user resources', function () {
  this.timeout(120_000)

  let database: TestDatabase
  let db: Kysely<Database>
  let tables: Tables
  let expected: ReturnType<typeof createExpectedUser>

  before(async () => {
    database = await createTestDatabase({ seeded: true })
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'user-content-test' })
    tables = await readTables(db, [...EXPECTED_TABLES, ...EXPECTED_USER_TABLES])
    expected = createExpectedUser(tables, createExpected(tables))
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  for (const [resource, variant, shape] of [
    [userProfile, 'full', user],
    [userProfile, 'private', privateUser],
    [userMe, 'full', me],
  ] as const) {
    it(`equal the tables for ${resource.name} (${variant})`, async () => {
      const wanted = (row: Row) =>
        resource === userMe ? expected.me(row) : expected.user(row, variant)
      for (const row of someUsers()) {
        const answer = await db
          .transaction()
          .execute((trx) => resource.load(trx, { user_id: String(row['id']) }, variant))
        const body: unknown = JSON.parse(answer?.body ?? '')
        expect(inOrderOfIds(body)).to.deep.equal(wanted(row))
        shape.parse(body)
      }
    })

    it(`are null for a user that does not exist: ${resource.name} (${variant})`, async () => {
      const load = resource.load
      const found = await db.transaction().execute((trx) => load(trx, { user_id: '0' }, variant))
      expect(found).to.equal(null)
    })
  }

  it('list the business areas that a user leads ordered by name', async () => {
    const trx = await db.startTransaction().execute()
    try {
      await trx.updateTable('agencies_businessarea').set({ leader_id: 1 }).execute()
      const areas = await trx
        .selectFrom('agencies_businessarea')
        .select('id')
        .orderBy('name')
        .orderBy('id')
        .execute()
      const answer = await userProfile.load(trx, { user_id: '1' }, 'full')
      const { business_areas_led } = user.parse(JSON.parse(answer?.body ?? ''))
      expect(areas).to.have.length.above(10)
      expect(business_areas_led.map(({ id }) => String(id))).to.deep.equal(
        areas.map(({ id }) => id),
      )
    } finally {
      await trx.rollback().execute()
    }
  })

  /** Returns leaders of areas, caretakers, covered users and users with groups, and a sample. */
  function someUsers(): Row[] {
    const special = new Set([
      ...tables.every('agencies_businessarea').map(({ leader_id }) => leader_id),
      ...tables
        .every('caretakers_caretaker')
        .flatMap(({ user_id, caretaker_id }) => [user_id, caretaker_id]),
      ...tables.every('users_user_groups').map(({ user_id }) => user_id),
    ])
    return tables
      .every('users_user')
      .filter(({ id }, index) => special.has(id ?? null) || index % EVERY_NTH_USER === 0)
  }
})

/** Orders `business_areas_led` by id, as the tables are read. Only Postgres can order by name. */
function inOrderOfIds(body: unknown): unknown {
  const { business_areas_led, ...rest } = body as {
    readonly business_areas_led: readonly { readonly id: number }[]
  }
  return { ...rest, business_areas_led: business_areas_led.toSorted((a, b) => a.id - b.id) }
}
