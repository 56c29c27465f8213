import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findCare } from '../../db/queries/caretakers.ts'
import { findUser } from '../../db/queries/user.ts'
import { MAX_RELATIONS } from '../../db/writes/caretaker-limit.ts'
import { insertCaretaker } from '../../db/writes/caretaker.ts'
import { WriteError } from '../../db/writes/write-error.ts'
import type { Database } from '../../db/schema.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const PEOPLE = 700
const [HUB, OTHER_HUB] = ['1', '2']

describe('a user in a network of 700 caretakers', function () {
  this.timeout(60_000)
  let database: TestDatabase
  let db: Kysely<Database>

  before(async () => {
    database = await createTestDatabase()
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'caretaker-limits-test' })
    await sql`
      insert into users_user (id, password, username)
      select n, 'x', 'user' || n from generate_series(1, ${PEOPLE}::integer) n`.execute(db)
    // Both hubs act for all other users and for each other, and all other users act for both.
    await sql`
      insert into caretakers_caretaker (user_id, caretaker_id)
      select n, hub from generate_series(1, ${PEOPLE}::integer) n, unnest(array[1, 2]) hub where n <> hub
      union
      select hub, n from generate_series(3, ${PEOPLE}::integer) n, unnest(array[1, 2]) hub`.execute(
      db,
    )
  })
  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  it('is shown with at most 500 users in each list, direct caretakers first', async () => {
    await db.transaction().execute(async (trx) => {
      for (const id of [HUB, OTHER_HUB, '650']) {
        const care = await findCare(trx, id)
        for (const list of [care.caretakers, care.caretakingFor]) {
          const people = list.match(/"caretaker_obj_id"/g) ?? []
          expect(people).to.have.length.within(2, 500)
        }
        const user = await findUser(trx, id, 'full')
        expect(user?.body.length).to.be.below(500_000)
      }
      const direct: readonly { id: number }[] = JSON.parse((await findCare(trx, '650')).caretakers)
      expect(direct.map(({ id }) => id)).to.have.members([1, 2])
    })
  })

  it('cannot get more caretakers or more users to act for', async () => {
    for (const [user_id, caretaker_id, message] of [
      [HUB, '600', 'caretakers'],
      ['600', HUB, 'caretaker of'],
    ] as const) {
      await db.transaction().execute(async (trx) => {
        await sql`
          delete from caretakers_caretaker
          where user_id = ${user_id} and caretaker_id = ${caretaker_id}`.execute(trx)
        const caretaker = { user_id, caretaker_id, end_date: null, reason: null, notes: null }
        const actor = { id: user_id, isSuperuser: true }
        const failure = await insertCaretaker(trx, caretaker, { actor }).catch(
          (error: unknown) => error,
        )
        expect(failure).to.be.instanceOf(WriteError).and.to.include({ reason: 'conflict' })
        expect(String(failure)).to.include(message).and.to.include(String(MAX_RELATIONS))
      })
    }
  })
})
