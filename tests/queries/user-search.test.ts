import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { isEmailTaken, isNameTaken, isUsernameTaken } from '../../db/queries/user-exists.ts'
import { findFirstUsers, searchUsers, type UserFilter } from '../../db/queries/user-search.ts'
import type { Database } from '../../db/schema.ts'
import { userPage } from '../../shared/shapes/search.ts'
import { tinyUser } from '../../shared/shapes/tiny-user.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { readTables, type Row, type Tables } from '../support/tables.ts'

describe('user search', function () {
  this.timeout(60_000)

  let database: TestDatabase
  let db: Kysely<Database>
  let tables: Tables

  before(async () => {
    database = await createTestDatabase({ seeded: true })
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'user-search-test' })
    await db
      .updateTable('users_user')
      .set({ first_name: 'Ann_', last_name: 'O%Hara', is_active: false })
      .where('id', '=', '9')
      .execute()
    tables = await readTables(db, ['agencies_businessarea', 'users_user', 'users_userwork'])
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  const isCalled = (term: string) => (row: Row) =>
    [
      row['username'],
      row['email'],
      row['first_name'],
      row['last_name'],
      row['first_name'] !== null && row['last_name'] !== null
        ? `${String(row['first_name'])} ${String(row['last_name'])}`
        : null,
    ].some((name) =>
      String(name ?? '')
        .toLowerCase()
        .includes(term.toLowerCase()),
    )

  const idsWhere = (passes: (row: Row) => boolean) =>
    tables
      .every('users_user')
      .filter(passes)
      .map(({ id }) => Number(id))

  async function find(filter: UserFilter, page = 1, pageSize = 10_000) {
    const { body } = await searchUsers(db, filter, { page, pageSize })
    return userPage.parse(JSON.parse(body))
  }

  it('finds users that pass every filter, ordered by id [T10, T20]', async () => {
    const leads = (row: Row) =>
      tables.all('agencies_businessarea', 'leader_id', row['id']).length > 0
    const worksIn = (area: number) => (row: Row) =>
      tables.one('users_userwork', 'user_id', row['id'])?.['business_area_id'] === area
    const someUser = tables.every('users_user')[30] as Row
    const fullName = `${String(someUser['first_name'])} ${String(someUser['last_name'])}`
    const filters: readonly (readonly [UserFilter, (row: Row) => boolean])[] = [
      [{}, () => true],
      [{ search: 'ANN' }, isCalled('ann')],
      [{ search: fullName }, isCalled(fullName)],
      [{ search: 'ann_ o%' }, (row) => row['id'] === 9],
      [
        { search: String(someUser['email']).slice(2) },
        isCalled(String(someUser['email']).slice(2)),
      ],
      [{ isActive: false }, (row) => row['is_active'] === false],
      [{ isStaff: true }, (row) => row['is_staff'] === true],
      [{ isStaff: false }, (row) => row['is_staff'] === false],
      [{ isSuperuser: true }, (row) => row['is_superuser'] === true],
      [{ onlyLeaders: true }, leads],
      [{ businessArea: '2' }, worksIn(2)],
      [{ except: ['1', '2', '999999'] }, (row) => Number(row['id']) > 2],
      [
        { isStaff: true, isActive: true, search: 'a', businessArea: '1' },
        (row) =>
          row['is_staff'] === true &&
          row['is_active'] === true &&
          isCalled('a')(row) &&
          worksIn(1)(row),
      ],
    ]
    for (const [filter, passes] of filters) {
      const { users, total_results } = await find(filter)
      const expected = idsWhere(passes)
      expect(
        users.map(({ id }) => id),
        JSON.stringify(filter),
      ).to.deep.equal(expected)
      expect(total_results).to.equal(expected.length)
      expect(expected).to.have.length.above(0)
    }
  })

  it('returns pages of users', async () => {
    const all = idsWhere(() => true)
    const { users, total_pages } = await find({}, 3, 24)
    expect(users.map(({ id }) => id)).to.deep.equal(all.slice(48, 72))
    expect(total_pages).to.equal(Math.ceil(all.length / 24))
    expect((await find({}, 1000, 24)).users).to.deep.equal([])
  })

  it('returns the first users in their short shape [T18]', async () => {
    const found = tinyUser.array().parse(JSON.parse(await findFirstUsers(db, { search: 'an' }, 10)))
    const expected = idsWhere(isCalled('an')).slice(0, 10)
    expect(found.map(({ id }) => id)).to.deep.equal(expected)
    expect(expected).to.have.length(10)
  })

  it('finds out whether an e-mail address or a name is taken [T19]', async () => {
    const { username, email } = tables.every('users_user')[5] as Row
    expect(await isEmailTaken(db, String(email).toUpperCase())).to.equal(true)
    expect(await isEmailTaken(db, `x${String(email)}`)).to.equal(false)
    expect(await isUsernameTaken(db, String(username))).to.equal(true)
    expect(await isUsernameTaken(db, 'unknown user')).to.equal(false)
    expect(await isNameTaken(db, 'ann_', 'o%hara')).to.equal(true)
    expect(await isNameTaken(db, 'annx', 'o%hara')).to.equal(false)
    expect(await isNameTaken(db, 'a%', 'o%hara')).to.equal(false)
  })
})
