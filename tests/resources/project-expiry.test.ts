import { expect } from 'chai'
import { type Kysely, sql, type Transaction } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import type { Database } from '../../db/schema.ts'
import { projectDetail } from '../../shared/resources/index.ts'
import { projectDetail as shape } from '../../shared/shapes/project-detail.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { buildDenseWorld } from './dense-world.ts'

const SLACK_MS = 60_000

describe('expiry of project details', () => {
  let database: TestDatabase
  let db: Kysely<Database>

  before(async () => {
    database = await createTestDatabase()
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'expiry-test' })
    await buildDenseWorld(db)
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  it('is the end of the first caretaker relation of a member', async () => {
    await inRolledBack(async (trx) => {
      const { expiresInMs } = await load(trx, '231')
      const end = Date.parse('2101-01-01T00:00:00Z')
      expect(expiresInMs).to.be.closeTo(end - Date.now(), SLACK_MS)

      await endCare(trx, sql`now() + interval '90 seconds'`)
      expect(await load(trx, '231')).to.include({ expiresInMs: 90_000, caretakers: 2 })
      await endCare(trx, sql`now()`)
      expect(await load(trx, '231')).to.include({ caretakers: 1 })
    })
  })

  it('is unset without an end, and infinite for an infinite end', async () => {
    await inRolledBack(async (trx) => {
      expect(await load(trx, '233')).to.deep.equal({ expiresInMs: undefined, caretakers: 1 })
      await sql`update caretakers_caretaker set end_date = 'infinity' where id = 393`.execute(trx)
      expect(await load(trx, '233')).to.deep.equal({ expiresInMs: Infinity, caretakers: 1 })
    })
  })

  /** Returns the time to expiry, and the number of caretakers of the members. */
  async function load(trx: Transaction<Database>, project_id: string) {
    const loaded = await projectDetail.load(trx, { project_id }, 'full')
    const { members } = shape.parse(JSON.parse(loaded?.body ?? ''))
    const caretakers = members?.flatMap(({ user }) => user.caretakers).length
    return { expiresInMs: loaded?.expiresInMs, caretakers }
  }

  async function inRolledBack(work: (trx: Transaction<Database>) => Promise<void>) {
    const trx = await db.startTransaction().execute()
    try {
      await work(trx)
    } finally {
      await trx.rollback().execute()
    }
  }
})

/** Sets the end of Ada's first caretaker relation. */
const endCare = (trx: Transaction<Database>, moment: ReturnType<typeof sql>) =>
  sql`update caretakers_caretaker set end_date = ${moment} where id = 391`.execute(trx)
