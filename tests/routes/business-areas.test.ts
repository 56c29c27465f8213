import { expect } from 'chai'
import { businessArea, businessAreaDetail } from '../../shared/shapes/business-area.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { expectForSuperusersOnly, expectNotFound } from './superusers-only.ts'

const SUE = 3
const TAKEN = 'The fields name, agency must make a unique set.'

describeOnBothTables('writes of business areas over HTTP', (api) => {
  const post = (body: unknown, as = SUE) =>
    api.send('POST', 'agencies/business_areas', { as, body })
  const put = (body: unknown, as = SUE, id = '31') =>
    api.send('PUT', `agencies/business_areas/${id}`, { as, body })
  const remove = (as = SUE, id = '31') =>
    api.send('DELETE', `agencies/business_areas/${id}`, { as })
  const toggle = (as = SUE, id = '31') =>
    api.send('POST', `agencies/business_areas/setactive/${id}`, { as })
  const stored = (id: string | number = 31) =>
    api.db
      .selectFrom('agencies_businessarea')
      .selectAll()
      .where('id', '=', String(id))
      .executeTakeFirst()

  it('create an active, unpublished business area [T74]', async () => {
    const { status, headers, body } = await post({
      name: ' Fire ',
      agency: '11',
      slug: 'fire',
      focus: 'Burning',
      introduction: '<p>Hot</p>',
      division: 271,
      leader: 1,
      finance_admin: '2',
      data_custodian: 3,
      is_active: false,
      cost_center: 7,
    })
    expect(status).to.equal(201)
    expect(headers['cache-control']).to.equal('no-store')
    const made = businessArea.parse(body)
    expect(made).to.include({ name: 'Fire', leader: 1, finance_admin: 2, data_custodian: 3 })
    expect(made).to.include({ slug: 'fire', focus: 'Burning', is_active: true, image: null })
    expect(made.division).to.include({ id: 271 })
    const row = await stored(made.id)
    expect(row).to.include({ published: false, cost_center: null, caretaker_id: null })
    expect(row?.created_at.getTime()).to.be.closeTo(Date.now(), 60_000)

    const least = businessArea.parse((await post({ name: 'Least', agency: 11, leader: 0 })).body)
    expect(least).to.include({ leader: null, division: null, focus: null, data_custodian: null })
  })

  it('change the fields in the body, ignore null, and remove the leader with 0 [T74]', async () => {
    const given = await put({ name: 'Flora', leader: 2, division: 271, focus: 'F', agency: 12 })
    expect(given.status).to.equal(200)
    expect(businessArea.parse(given.body)).to.include({ name: 'Flora', leader: 2, focus: 'F' })

    const before = await stored()
    const { body } = await put({ name: null, focus: null, division: null, agency: null, leader: 0 })
    expect(body).to.include({ name: 'Flora', focus: 'F', leader: null })
    expect(await stored()).to.deep.include({
      division_id: '271',
      agency_id: '12',
      created_at: before?.created_at,
    })
    await put({ leader: 1 })
    expect((await put({ leader: null })).body).to.include({ leader: null })
  })

  it('write nothing if no value changes', async () => {
    const before = await stored()
    for (const body of [{}, { name: 'Ecology', agency: 11, is_active: false }]) await put(body)
    expect(await stored()).to.deep.equal(before)
  })

  it('keep concurrent changes of different fields', async () => {
    const changes = [
      { name: 'Flora' },
      { focus: 'F' },
      { leader: 2 },
      { slug: 's' },
      { division: 271 },
    ]
    const answers = await Promise.all([...changes.map((body) => put(body)), toggle()])
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200, 200, 200])
    expect(await stored()).to.include({
      name: 'Flora',
      focus: 'F',
      leader_id: '2',
      slug: 's',
      division_id: '271',
      is_active: false,
    })
  })

  it('answer 409 to a name that exists in the agency', async () => {
    for (const answer of [
      await post({ name: 'Marine', agency: 11 }),
      await put({ name: 'Marine' }),
    ]) {
      expect(answer.status).to.equal(409)
      expect(answer.body).to.deep.include({ detail: TAKEN, non_field_errors: [TAKEN] })
    }
    expect((await post({ name: 'Marine', agency: 12 })).status).to.equal(201)
    const twice = { name: 'Twice', agency: 11 }
    const answers = await Promise.all([post(twice), post(twice)])
    expect(answers.map(({ status }) => status)).to.have.members([201, 409])
  })

  it('toggle whether a business area is active [T74]', async () => {
    const { status, body } = await toggle()
    expect(status).to.equal(200)
    expect(businessAreaDetail.parse(body)).to.include({ id: 31, is_active: false, agency: 11 })
    expect((await toggle()).body).to.include({ is_active: true })
    await Promise.all([toggle(), toggle(), toggle()])
    expect(await stored()).to.include({ is_active: false })
  })

  it('keep the users and projects of a deleted business area [T74]', async () => {
    expect((await remove(SUE, '32')).status).to.equal(204)
    const photos = await api.db.selectFrom('medias_businessareaphoto').select('id').execute()
    expect(photos).to.deep.equal([])

    const { status, body } = await remove()
    expect({ status, body }).to.deep.equal({ status: 204, body: '' })
    expect(await stored()).to.equal(undefined)
    const left = await api.db
      .selectFrom('users_userwork')
      .select(['id', 'business_area_id', 'branch_id'])
      .orderBy('id')
      .execute()
    expect(left).to.deep.equal([
      { id: '33', business_area_id: null, branch_id: '21' },
      { id: '34', business_area_id: null, branch_id: '22' },
    ])
    const project = await api.db
      .selectFrom('projects_project')
      .select('business_area_id')
      .where('id', '=', '51')
      .executeTakeFirstOrThrow()
    expect(project.business_area_id).to.equal(null)
    expect((await remove()).status).to.equal(404)
  })

  it('are for superusers only, and answer 404 for a business area that does not exist', async () => {
    await expectForSuperusersOnly(api, [
      ['POST', 'agencies/business_areas'],
      ['PUT', 'agencies/business_areas/31'],
      ['DELETE', 'agencies/business_areas/31'],
      ['POST', 'agencies/business_areas/setactive/31'],
    ])
    await expectNotFound(
      api,
      [
        ['PUT', 'agencies/business_areas/999'],
        ['DELETE', 'agencies/business_areas/999'],
        ['POST', 'agencies/business_areas/setactive/999'],
      ],
      'Business area 999 not found',
    )
  })

  it('reject invalid fields with 400 and a message each', async () => {
    const before = await stored()
    for (const [change, field, message] of [
      [{ name: ' ' }, 'name', /may not be blank/],
      [{ name: 'x'.repeat(141) }, 'name', /no more than 140/],
      [{ slug: 'a b' }, 'slug', /valid slug/],
      [{ slug: 'x'.repeat(51) }, 'slug', /no more than 50/],
      [{ focus: 'x'.repeat(1251) }, 'focus', /no more than 1250/],
      [{ introduction: 5 }, 'introduction', /Not a valid string/],
      [{ agency: 999 }, 'agency', /Invalid pk "999"/],
      [{ division: 999 }, 'division', /Invalid pk "999"/],
      [{ leader: 999 }, 'leader', /Invalid pk "999"/],
      [{ leader: 'me' }, 'leader', /A valid integer/],
      [{ finance_admin: 999 }, 'finance_admin', /Invalid pk "999"/],
      [{ data_custodian: 999 }, 'data_custodian', /Invalid pk "999"/],
    ] as const) {
      for (const answer of [
        await post({ name: 'New', agency: 11, ...change }),
        await put(change),
      ]) {
        expect(answer.status, field).to.equal(400)
        expect(String(Object(answer.body)[field])).to.match(message)
      }
    }
    const { body } = await post({})
    expect(body).to.deep.include({
      name: ['This field is required.'],
      agency: ['This field is required.'],
    })
    expect(await stored()).to.deep.equal(before)
  })
})
