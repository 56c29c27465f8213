import { expect } from 'chai'
import { departmentalService } from '../../shared/shapes/departmental-service.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { expectForSuperusersOnly, expectNotFound } from './superusers-only.ts'

const SUE = 3

describeOnBothTables('writes of departmental services over HTTP', (api) => {
  const post = (body: unknown, as = SUE) => api.send('POST', 'agencies/services', { as, body })
  const put = (body: unknown, as = SUE, id = '203') =>
    api.send('PUT', `agencies/services/${id}`, { as, body })
  const remove = (as = SUE, id = '203') => api.send('DELETE', `agencies/services/${id}`, { as })
  const stored = () =>
    api.db
      .selectFrom('agencies_departmentalservice')
      .selectAll()
      .where('id', '=', '203')
      .executeTakeFirst()

  it('create a service, and change the fields in the body [T76]', async () => {
    const made = await post({ name: ' Fire ', director: '2' })
    expect(made.status).to.equal(201)
    expect(departmentalService.parse(made.body)).to.include({ name: 'Fire', director: 2 })
    expect((await post({ name: 'Fire' })).body).to.include({ name: 'Fire', director: null })

    const { status, body } = await put({ director: null })
    expect(status).to.equal(200)
    expect(departmentalService.parse(body)).to.deep.equal({
      id: 203,
      name: 'Wildlife',
      director: null,
    })
    const before = await stored()
    for (const same of [{}, { name: 'Wildlife', id: 5 }]) await put(same)
    expect(await stored()).to.deep.equal(before)
    await Promise.all([put({ name: 'A' }), put({ director: 2 })])
    expect(await stored()).to.include({ name: 'A', director_id: '2' })
  })

  it('keep the projects of a deleted service [T76]', async () => {
    const { status, body } = await remove()
    expect({ status, body }).to.deep.equal({ status: 204, body: '' })
    const details = await api.db
      .selectFrom('projects_projectdetail')
      .select(['project_id', 'service_id'])
      .orderBy('id')
      .execute()
    expect(details).to.deep.equal([
      { project_id: '204', service_id: null },
      { project_id: '205', service_id: null },
    ])
    expect((await remove()).status).to.equal(404)
  })

  it('are for superusers only, and answer 404 for a service that does not exist', async () => {
    await expectForSuperusersOnly(api, [
      ['POST', 'agencies/services'],
      ['PUT', 'agencies/services/203'],
      ['DELETE', 'agencies/services/203'],
    ])
    await expectNotFound(
      api,
      [
        ['PUT', 'agencies/services/999'],
        ['DELETE', 'agencies/services/999'],
      ],
      'Departmental service 999 not found',
    )
  })

  it('reject invalid fields with 400 and a message each', async () => {
    for (const [change, field, message] of [
      [{ name: '' }, 'name', /may not be blank/],
      [{ name: 'x'.repeat(321) }, 'name', /no more than 320/],
      [{ director: 999 }, 'director', /Invalid pk "999"/],
      [{ director: 'me' }, 'director', /A valid integer/],
    ] as const) {
      for (const answer of [await post({ name: 'N', ...change }), await put(change)]) {
        expect(answer.status, field).to.equal(400)
        expect(String(Object(answer.body)[field])).to.match(message)
      }
    }
    expect((await post({})).body).to.deep.include({ name: ['This field is required.'] })
  })
})
