import { expect } from 'chai'
import { division } from '../../shared/shapes/business-area.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { expectForSuperusersOnly, expectNotFound } from './superusers-only.ts'

const [LEA, SUE] = [1, 3]

describeOnBothTables('writes of divisions over HTTP', (api) => {
  const post = (body: unknown, as = SUE) => api.send('POST', 'agencies/divisions', { as, body })
  const put = (body: unknown, as = SUE, id = '271') =>
    api.send('PUT', `agencies/divisions/${id}`, { as, body })
  const remove = (as = SUE, id = '271') => api.send('DELETE', `agencies/divisions/${id}`, { as })
  const list = (usersList: unknown, as = SUE, id = '271') =>
    api.send('POST', `agencies/divisions/${id}/email_list`, { as, body: { usersList } })
  const stored = () =>
    api.db.selectFrom('agencies_division').selectAll().where('id', '=', '271').executeTakeFirst()
  const receivers = (body: unknown) =>
    division.parse(body).directorate_email_list.map(({ id }) => id)

  it('create a division [T76]', async () => {
    const { status, headers, body } = await post({ name: ' Parks ', slug: 'parks', approver: '2' })
    expect(status).to.equal(201)
    expect(headers['cache-control']).to.equal('no-store')
    const { id, ...made } = division.parse(body)
    expect(made).to.deep.equal({
      name: 'Parks',
      slug: 'parks',
      director: null,
      approver: 2,
      directorate_email_list: [],
    })
    const row = await api.db
      .selectFrom('agencies_division')
      .select('updated_at')
      .where('id', '=', String(id))
      .executeTakeFirstOrThrow()
    expect(row.updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
  })

  it('change the fields in the body [T76]', async () => {
    const { status, body } = await put({ name: 'Parks', director: null })
    expect(status).to.equal(200)
    expect(division.parse(body)).to.include({ name: 'Parks', slug: 'd', director: null })
    const before = await stored()
    for (const same of [{}, { name: 'Parks', slug: 'd' }]) await put(same)
    expect(await stored()).to.deep.equal(before)
    await Promise.all([
      put({ name: 'A' }),
      put({ slug: 'a' }),
      put({ director: 1 }),
      put({ approver: 1 }),
    ])
    expect(await stored()).to.include({ name: 'A', slug: 'a', director_id: '1', approver_id: '1' })
  })

  it('replace the whole e-mail list [T76]', async () => {
    expect(receivers((await list([])).body)).to.deep.equal([])
    const { status, body } = await list([2, '1', 2])
    expect(status).to.equal(200)
    expect(receivers(body)).to.deep.equal([2, 1])
    expect(receivers((await list([3, 1])).body)).to.deep.equal([1, 3])
  })

  it('store one of two concurrent e-mail lists, not a mixture', async () => {
    await Promise.all([list([1, 2]), list([3, 4])])
    const { body } = await api.send('GET', 'agencies/divisions/271/email_list', { as: LEA })
    expect([
      [1, 2],
      [3, 4],
    ]).to.deep.include(receivers(body))
  })

  it('reject an e-mail list with a user that does not exist [T76]', async () => {
    for (const [users, message] of [
      [[1, 999], /Invalid pk "999"/],
      [['x'], /A valid integer/],
      [5, /Expected a list/],
      [undefined, /This field is required/],
      [null, /may not be null/],
    ] as const) {
      const answer = await list(users)
      expect(answer.status).to.equal(400)
      expect(String(Object(answer.body).usersList)).to.match(message)
    }
    const { body } = await api.send('GET', 'agencies/divisions/271/email_list', { as: LEA })
    expect(receivers(body)).to.deep.equal([1])
  })

  it('keep the business areas of a deleted division [T76]', async () => {
    await api.db
      .updateTable('agencies_businessarea')
      .set({ division_id: '271' })
      .where('id', '=', '32')
      .execute()
    const area = () =>
      api.db
        .selectFrom('agencies_businessarea')
        .select('division_id')
        .where('id', '=', '32')
        .executeTakeFirst()
    expect(await area()).to.deep.equal({ division_id: '271' })
    const { status, body } = await remove()
    expect({ status, body }).to.deep.equal({ status: 204, body: '' })
    expect(await area()).to.deep.equal({ division_id: null })
    expect((await remove()).status).to.equal(404)
  })

  it('are for superusers only, and answer 404 for a division that does not exist', async () => {
    await expectForSuperusersOnly(api, [
      ['POST', 'agencies/divisions'],
      ['PUT', 'agencies/divisions/271'],
      ['DELETE', 'agencies/divisions/271'],
      ['POST', 'agencies/divisions/271/email_list'],
    ])
    await expectNotFound(
      api,
      [
        ['PUT', 'agencies/divisions/999'],
        ['DELETE', 'agencies/divisions/999'],
        ['POST', 'agencies/divisions/999/email_list'],
      ],
      'Division 999 not found',
    )
  })

  it('reject invalid fields with 400 and a message each', async () => {
    for (const [change, field, message] of [
      [{ name: '' }, 'name', /may not be blank/],
      [{ name: null }, 'name', /may not be null/],
      [{ name: 'x'.repeat(151) }, 'name', /no more than 150/],
      [{ slug: 'a b' }, 'slug', /valid slug/],
      [{ slug: '' }, 'slug', /may not be blank/],
      [{ slug: 'x'.repeat(51) }, 'slug', /no more than 50/],
      [{ director: 999 }, 'director', /Invalid pk "999"/],
      [{ approver: 999 }, 'approver', /Invalid pk "999"/],
    ] as const) {
      for (const answer of [await post({ name: 'N', slug: 'n', ...change }), await put(change)]) {
        expect(answer.status, field).to.equal(400)
        expect(String(Object(answer.body)[field])).to.match(message)
      }
    }
    const required = ['This field is required.']
    expect((await post({})).body).to.deep.include({ name: required, slug: required })
  })
})
