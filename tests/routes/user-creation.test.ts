import { expect } from 'chai'
import { sql } from 'kysely'
import { privateUser, user } from '../../shared/shapes/user.ts'
import { describeOnBothTables } from '../support/both-tables.ts'

const [LEA, SUE, OUT, OLD] = [1, 3, 4, 5]
const PATH = 'users/list'

describeOnBothTables('POST /users/list', (api) => {
  const post = (body: unknown, as = SUE) => api.send('POST', PATH, { as, body })
  const idNamed = async (username: string) =>
    (
      await api.db
        .selectFrom('users_user')
        .select('id')
        .where('username', '=', username)
        .executeTakeFirst()
    )?.id
  const rowOf = (
    table:
      'users_userwork' | 'users_userprofile' | 'contacts_usercontact' | 'users_publicstaffprofile',
    userId: string,
  ) =>
    api.db
      .selectFrom(table as 'users_userwork')
      .selectAll()
      .where('user_id', '=', userId)
      .executeTakeFirst()

  // The world contains ids that the sequence has not returned.
  beforeEach(() =>
    sql`select setval(pg_get_serial_sequence('users_user', 'id'), 1000)`.execute(api.db),
  )

  it('adds a member of staff with work, profile, contact and a hidden staff profile [T11]', async () => {
    const { status, headers, body } = await post({
      username: ' new@spms.test ',
      email: 'new@spms.test',
      firstName: 'New',
      lastName: 'Hazel',
      isStaff: true,
      affiliation: 35,
      branch: 21,
      businessArea: '31',
    })
    expect(status).to.equal(201)
    const shown = privateUser.parse(body)
    expect(headers.location).to.equal(`/api/v1/users/${shown.id}`)
    expect(shown).to.deep.include({
      username: 'new@spms.test',
      email: 'new@spms.test',
      first_name: 'New',
      last_name: 'Hazel',
      display_first_name: 'New',
      display_last_name: 'Hazel',
      is_staff: true,
      is_superuser: false,
      is_active: true,
      is_aec: false,
      role: 'None',
      title: '',
      phone: '',
    })
    expect(shown.affiliation?.id).to.equal(35)
    expect(shown.branch?.id).to.equal(21)
    expect(shown.business_area?.id).to.equal(31)
    const found = await api.send('GET', `users/${shown.id}`, { as: SUE })
    expect(found.body).to.deep.equal(body)
    expect(found.headers.etag).to.equal(headers.etag)
    const id = String(shown.id)
    expect(await rowOf('users_userwork', id)).to.include({ agency_id: '11' })
    for (const table of ['users_userprofile', 'contacts_usercontact'] as const) {
      expect(await rowOf(table, id), table).to.include({ user_id: id })
    }
    expect(await rowOf('users_publicstaffprofile', id)).to.include({ is_hidden: true })
  })

  it('stores a password that no text matches', async () => {
    const body = { username: 'locked', firstName: 'L', lastName: 'K', isStaff: false }
    expect((await post(body)).status).to.equal(201)
    const { password } = await api.db
      .selectFrom('users_user')
      .select('password')
      .where('username', '=', 'locked')
      .executeTakeFirstOrThrow()
    expect(password).to.match(/^![\w-]{40}$/)
    for (const typed of ['', '!', password, password.slice(1)]) {
      const attempt = { username: 'locked', password: typed }
      const { status } = await api.send('POST', 'users/log-in', { body: attempt })
      expect(status, typed).to.be.oneOf([400, 401])
    }
  })

  it('lets staff add external users only, and no other user any', async () => {
    const external = { username: 'ext1', email: null, firstName: 'Ex', lastName: 'T' }
    const { status, headers, body } = await post({ ...external, isStaff: false }, LEA)
    expect(status).to.equal(201)
    // The view of users who are no superusers.
    const shown = user.parse(body)
    expect(shown).to.include({ is_staff: false, email: null })
    expect((await api.send('GET', `users/${shown.id}`, { as: LEA })).headers.etag).to.equal(
      headers.etag,
    )
    expect(await rowOf('users_publicstaffprofile', String(shown.id))).to.equal(undefined)
    expect((await post({ ...external, username: 'ext2' }, LEA)).status).to.equal(201)

    for (const flags of [
      { isStaff: true },
      { is_staff: true },
      { is_staff: false, isStaff: true },
      { isStaff: 'true' },
    ]) {
      expect((await post({ ...external, username: 'ext3', ...flags }, LEA)).status).to.equal(403)
    }
    await sql`update users_user set is_staff = false where id = ${OUT}`.execute(api.db)
    expect((await post({ ...external, username: 'ext3' }, OUT)).status).to.equal(403)
    expect((await post({ ...external, username: 'ext3' }, OLD)).status).to.equal(401)
    expect((await api.send('POST', PATH, { body: external })).status).to.equal(401)
    expect(await idNamed('ext3')).to.equal(undefined)
  })

  it('rejects taken names and addresses with 409, also at the same time', async () => {
    for (const [body, field] of [
      [{ username: 'lea' }, 'username'],
      [{ username: 'lea', email: 'other@spms.test' }, 'username'],
      [{ username: 'other', email: 'LEA@spms.test' }, 'email'],
    ] as const) {
      const answer = await post(body)
      expect(answer.status, JSON.stringify(body)).to.equal(409)
      expect(answer.body).to.have.property(field)
    }
    for (const [one, other] of [
      [{ username: 'twice' }, { username: 'twice' }],
      [
        { username: 'first', email: 'two@spms.test' },
        { username: 'second', email: 'TWO@spms.test' },
      ],
    ] as const) {
      const answers = await Promise.all([post(one), post(other), post(one), post(other)])
      expect(answers.map(({ status }) => status)).to.have.members([201, 409, 409, 409])
    }
    // Many users have no address.
    for (const username of ['none1', 'none2']) {
      expect((await post({ username, email: '' })).status).to.equal(201)
    }
  })

  it('adds nothing if a part is invalid [T11]', async () => {
    const count = async () => {
      const { rows } = await sql<{ count: string }>`
        select (select count(*) from users_user) + (select count(*) from users_userwork)
          + (select count(*) from contacts_usercontact) as count
      `.execute(api.db)
      return rows[0]?.count
    }
    const before = await count()
    for (const [body, field] of [
      [{}, 'username'],
      [{ username: '' }, 'username'],
      [{ username: 'a b' }, 'username'],
      [{ username: 'x'.repeat(151) }, 'username'],
      [{ username: 'x', email: 'x' }, 'email'],
      [{ username: 'x', isStaff: 'yes' }, 'is_staff'],
      [{ username: 'x', branch: 999 }, 'branch'],
      [{ username: 'x', affiliation: 999 }, 'affiliation'],
      [{ username: 'x', businessArea: 999 }, 'business_area'],
    ] as const) {
      const answer = await post(body)
      expect(answer.status, JSON.stringify(body)).to.equal(400)
      expect(answer.body, JSON.stringify(body)).to.have.property(field)
    }
    expect(await count()).to.equal(before)
  })
})
