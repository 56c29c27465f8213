import { expect } from 'chai'
import { sql } from 'kysely'
import { MAX_AFFILIATIONS } from '../../db/writes/affiliation.ts'
import { affiliation } from '../../shared/shapes/affiliation.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { expectForSuperusersOnly, expectNotFound } from './superusers-only.ts'

const [LEA, SUE, OLD] = [1, 3, 5]

// Affiliation 35 is Notre Dame with Lea, 36 is Griffith, and 39 is Murdoch without members.
describeOnBothTables('writes of affiliations over HTTP', (api) => {
  const post = (body: unknown, as = SUE, path = '') =>
    api.send('POST', `agencies/affiliations${path}`, { as, body })
  const put = (body: unknown, as = SUE, id = '35') =>
    api.send('PUT', `agencies/affiliations/${id}`, { as, body })
  const remove = (as = SUE, id = '35') => api.send('DELETE', `agencies/affiliations/${id}`, { as })
  const merge = (primary: unknown, secondaries: readonly unknown[], as = SUE) =>
    post(
      {
        primaryAffiliation: { pk: primary },
        secondaryAffiliations: secondaries.map((pk) => ({ pk })),
      },
      as,
      '/merge',
    )
  beforeEach(async () => {
    await sql`
      update users_userwork set affiliation_id = 35 where user_id = ${LEA};
    `.execute(api.db)
    await sql`
      update projects_studentprojectdetails
      set organisation = case project_id when 204 then 'Notre Dame; Griffith' else 'Griffith;Notre Dame; Notre Dame Broome' end
    `.execute(api.db)
    await sql`
      update projects_externalprojectdetails
      set collaboration_with = case project_id when 204 then 'Notre Dame' end
    `.execute(api.db)
  })

  const names = async () => {
    const rows = await api.db
      .selectFrom('agencies_affiliation')
      .select('name')
      .orderBy('name')
      .execute()
    return rows.map(({ name }) => name)
  }
  const lists = async () => {
    const student = await api.db
      .selectFrom('projects_studentprojectdetails')
      .select('organisation as list')
      .orderBy('project_id')
      .execute()
    const external = await api.db
      .selectFrom('projects_externalprojectdetails')
      .select('collaboration_with as list')
      .orderBy('project_id')
      .execute()
    return [...student, ...external].map(({ list }) => list)
  }
  const affiliationOf = async (user: number) => {
    const work = await api.db
      .selectFrom('users_userwork')
      .select('affiliation_id')
      .where('user_id', '=', String(user))
      .executeTakeFirst()
    return work?.affiliation_id
  }

  it('let every active user create an affiliation', async () => {
    expect((await post({ name: 'Curtin' }, LEA)).status).to.equal(201)
    expect((await post({ name: 'ECU' }, OLD)).status).to.equal(401)
    expect((await api.send('POST', 'agencies/affiliations', { body: {} })).status).to.equal(401)
    const headers = { 'X-CSRFToken': 'wrong' }
    expect(
      (await api.send('POST', 'agencies/affiliations', { as: LEA, headers, body: {} })).status,
    ).to.equal(403)
    expect(await names())
      .to.include('Curtin')
      .and.not.include('ECU')
  })

  it('create no affiliation if there are too many', async () => {
    await sql`
      insert into agencies_affiliation (id, created_at, updated_at, name)
      select 10000 + n, now(), now(), 'Many ' || n from generate_series(1, ${MAX_AFFILIATIONS}::int) as n
    `.execute(api.db)
    expect((await post({ name: 'One more' }, LEA)).status).to.equal(409)
  })

  it('create an affiliation with a unique name [T75]', async () => {
    const { status, headers, body } = await post({ name: ' Edith Cowan ' })
    expect(status).to.equal(201)
    expect(headers['cache-control']).to.equal('no-store')
    expect(affiliation.parse(body)).to.include({ name: 'Edith Cowan' })
    const taken = await post({ name: 'Notre Dame' })
    expect(taken.status).to.equal(409)
    expect(taken.body).to.deep.include({ name: ['This field must be unique.'] })
    const answers = await Promise.all([post({ name: 'Twice' }), post({ name: 'Twice' })])
    expect(answers.map(({ status }) => status)).to.have.members([201, 409])
  })

  it('rename an affiliation in every list of projects with exactly that name [T77]', async () => {
    const { status, body } = await put({ name: ' University, WA ' })
    expect(status).to.equal(200)
    expect(affiliation.parse(body)).to.include({ id: 35, name: 'University, WA' })
    expect(await lists()).to.deep.equal([
      'University, WA; Griffith',
      'Griffith;Notre Dame; Notre Dame Broome',
      'University, WA',
      null,
    ])
    expect(await affiliationOf(LEA)).to.equal('35')
    expect((await put({ name: 'Griffith' })).status).to.equal(409)
  })

  it('write nothing if the name does not change', async () => {
    const stored = () => api.db.selectFrom('agencies_affiliation').selectAll().execute()
    const before = [await stored(), await lists()]
    for (const body of [{}, { name: 'Notre Dame' }]) {
      expect((await put(body)).body).to.include({ name: 'Notre Dame' })
    }
    expect([await stored(), await lists()]).to.deep.equal(before)
  })

  it('answer 409 to a new name with which a list would become too long', async () => {
    await api.db
      .updateTable('projects_externalprojectdetails')
      .set({ collaboration_with: `Notre Dame; ${'x'.repeat(1480)}` })
      .where('project_id', '=', '204')
      .execute()
    const { status, body } = await put({ name: 'University of Notre Dame Australia' })
    expect(status).to.equal(409)
    expect(body).to.have.property('name').that.is.an('array')
    expect(await names()).to.include('Notre Dame')
    expect((await lists())[0]).to.equal('Notre Dame; Griffith')
  })

  it('remove a deleted affiliation from users and lists [T75, 204 instead of 200 with a count]', async () => {
    const { status, body } = await remove()
    expect({ status, body }).to.deep.equal({ status: 204, body: '' })
    expect(await names()).to.deep.equal(['Griffith', 'Murdoch'])
    expect(await lists()).to.deep.equal([
      'Griffith',
      'Griffith;Notre Dame; Notre Dame Broome',
      '',
      null,
    ])
    expect(await affiliationOf(LEA)).to.equal(null)
    expect((await remove()).status).to.equal(404)
  })

  it('merge affiliations of users and of lists without duplicates [T75]', async () => {
    const { status, body } = await merge(36, ['35', 39, 36])
    expect(status).to.equal(200)
    expect(body).to.deep.equal({ message: 'Merged!' })
    expect(await names()).to.deep.equal(['Griffith'])
    expect(await lists()).to.deep.equal([
      'Griffith',
      'Griffith;Notre Dame; Notre Dame Broome',
      'Griffith',
      null,
    ])
    expect(await affiliationOf(LEA)).to.equal('36')
  })

  it('answer 400 to a merge with an affiliation that does not exist', async () => {
    for (const [primary, secondaries, field, message] of [
      [999, [35], 'primaryAffiliation', /Invalid pk "999"/],
      [36, [35, 999], 'secondaryAffiliations', /Invalid pk "999"/],
      ['x', [35], 'primaryAffiliation', /A valid integer/],
      [36, ['x'], 'secondaryAffiliations', /A valid integer/],
    ] as const) {
      const answer = await merge(primary, secondaries)
      expect(answer.status).to.equal(400)
      expect(String(Object(answer.body)[field])).to.match(message)
    }
    expect((await post({}, SUE, '/merge')).body).to.include.keys(
      'primaryAffiliation',
      'secondaryAffiliations',
    )
    expect(await names()).to.deep.equal(['Griffith', 'Murdoch', 'Notre Dame'])
  })

  it('delete affiliations that no user has and no project lists [T75]', async () => {
    const { status, body } = await post({}, SUE, '/clean_orphaned')
    expect(status).to.equal(200)
    expect(body).to.deep.equal({
      message: 'Cleaned 1 orphaned affiliation(s)',
      deleted_count: 1,
      total_count: 3,
      deleted_names: ['Murdoch'],
    })
    expect((await post({}, SUE, '/clean_orphaned')).body).to.deep.equal({
      message: 'No orphaned affiliations found',
      deleted_count: 0,
      total_count: 2,
    })
  })

  it('are for superusers only, and answer 404 for an affiliation that does not exist', async () => {
    await expectForSuperusersOnly(api, [
      ['POST', 'agencies/affiliations/merge'],
      ['POST', 'agencies/affiliations/clean_orphaned'],
      ['PUT', 'agencies/affiliations/35'],
      ['DELETE', 'agencies/affiliations/35'],
    ])
    await expectNotFound(
      api,
      [
        ['PUT', 'agencies/affiliations/999'],
        ['DELETE', 'agencies/affiliations/999'],
      ],
      'Affiliation 999 not found',
    )
  })

  it('reject an invalid name with 400 and a message', async () => {
    for (const [name, message] of [
      ['', /may not be blank/],
      [null, /may not be null/],
      ['x'.repeat(251), /no more than 250/],
      [5, /Not a valid string/],
    ] as const) {
      for (const answer of [await post({ name }), await put({ name })]) {
        expect(answer.status).to.equal(400)
        expect(String(Object(answer.body).name)).to.match(message)
      }
    }
    expect((await post({})).body).to.deep.include({ name: ['This field is required.'] })
  })
})
