import { expect } from 'chai'
import { sql } from 'kysely'
import { z } from 'zod'
import { branch, branchDetail, branchPage } from '../../shared/shapes/branch.ts'
import { businessArea } from '../../shared/shapes/business-area.ts'
import { describeOnBothTables } from '../support/both-tables.ts'

const [LEA, SUE, OLD] = [1, 3, 5]
const TAKEN = 'The fields agency, name must make a unique set.'
const TOO_BIG = '9223372036854775808'

const namesIn = (body: unknown) =>
  z
    .array(branch)
    .parse(body)
    .map(({ name }) => name)

describeOnBothTables('branches and business areas over HTTP', (api, madeByDjango) => {
  const post = (body: unknown, as = SUE) => api.send('POST', 'agencies/branches', { as, body })
  const put = (body: unknown, as = SUE, id = '21') =>
    api.send('PUT', `agencies/branches/${id}`, { as, body })
  const remove = (as = SUE, id = '21') => api.send('DELETE', `agencies/branches/${id}`, { as })
  const stored = () =>
    api.db.selectFrom('agencies_branch').selectAll().where('id', '=', '21').executeTakeFirst()

  describe('reads', () => {
    it('list all branches ordered by name [T73]', async () => {
      const { status, headers, body } = await api.send('GET', 'agencies/branches', { as: LEA })
      expect(status).to.equal(200)
      expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=off')
      expect(namesIn(body)).to.deep.equal(['Albany 100%', 'Broome', 'Perth'])
      const blank = await api.send('GET', 'agencies/branches?searchTerm=', { as: LEA })
      expect(blank.body).to.deep.equal(body)
    })

    it('find branches by a part of the name [T73]', async () => {
      for (const [query, names] of [
        ['searchTerm=R', ['Broome', 'Perth']],
        ['searchTerm=%25', ['Albany 100%']],
        ['searchTerm=_', []],
        ['searchTerm=r&page=2', []],
        ['searchTerm=r&page=0', ['Broome', 'Perth']],
      ] as const) {
        const answer = await api.send('GET', `agencies/branches?${query}`, { as: LEA })
        expect(answer.status).to.equal(200)
        expect(answer.headers['cache-control']).to.equal('private, no-store')
        expect(answer.headers['cache-status']).to.equal('spms; fwd=bypass; detail=search')
        expect(namesIn(branchPage.parse(answer.body).branches), query).to.deep.equal(names)
      }
      const bad = await api.send('GET', 'agencies/branches?searchTerm=%00', { as: LEA })
      expect(bad.status).to.equal(400)
    })

    it('show a branch [T73]', async () => {
      const { status, headers, body } = await api.send('GET', 'agencies/branches/021', {
        as: LEA,
      })
      expect(status).to.equal(200)
      expect(headers['cache-control']).to.equal('private, no-store')
      expect(branchDetail.parse(body)).to.include({ id: 21, agency: 11, manager: 1 })
      for (const [id, detail] of [
        ['999', 'Branch 999 not found'],
        [TOO_BIG, `Branch ${TOO_BIG} not found`],
        ['x', 'Not found.'],
      ] as const) {
        const answer = await api.send('GET', `agencies/branches/${id}`, { as: LEA })
        expect(answer.status).to.equal(404)
        expect(answer.body).to.include({ detail })
      }
    })

    it('list business areas [T74]', async () => {
      const { status, body } = await api.send('GET', 'agencies/business_areas', { as: LEA })
      expect(status).to.equal(200)
      expect(z.array(businessArea).parse(body)).to.have.length(2)
    })

    it('require a session, and answer HEAD', async () => {
      for (const path of [
        'agencies/branches',
        'agencies/branches?searchTerm=r',
        'agencies/branches/21',
        'agencies/business_areas',
      ]) {
        expect((await api.send('GET', path)).status, path).to.equal(401)
        expect((await api.send('GET', path, { as: OLD })).status, path).to.equal(401)
        expect(await api.send('HEAD', path, { as: LEA })).to.include({ status: 200, body: '' })
      }
    })
  })

  describe('POST /agencies/branches', () => {
    it('creates a branch for a superuser [T73]', async () => {
      const { status, headers, body } = await post({ name: ' Derby ', agency: '12', manager: 2 })
      expect(status).to.equal(201)
      expect(headers['cache-control']).to.equal('no-store')
      const { id, ...rest } = branch.parse(body)
      expect(rest).to.deep.equal({ name: 'Derby', agency: 12, manager: 2 })

      const row = await api.db
        .selectFrom('agencies_branch')
        .select(['created_at', 'updated_at'])
        .where('id', '=', String(id))
        .executeTakeFirstOrThrow()
      expect(row.created_at.getTime()).to.be.closeTo(Date.now(), 60_000)
      expect(row.updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
    })

    it('accepts any name for a branch without an agency', async () => {
      for (const body of [{ name: 'Broome' }, { name: 'Broome', agency: null, manager: null }]) {
        const answer = await post(body)
        expect(answer.status).to.equal(201)
        expect(answer.body).to.include({ name: 'Broome', agency: null, manager: null })
      }
    })

    it('rejects other users before it validates the body', async () => {
      expect((await post({}, LEA)).status).to.equal(403)
      expect((await post({}, OLD)).status).to.equal(401)
      expect((await api.send('POST', 'agencies/branches', { body: {} })).status).to.equal(401)
      const headers = { 'X-CSRFToken': '' }
      const path = 'agencies/branches'
      expect((await api.send('POST', path, { as: SUE, body: {}, headers })).status).to.equal(403)
    })

    it('answers 409 to a name that exists in the agency [T73]', async () => {
      const { status, headers, body } = await post({ name: 'Perth', agency: 11 })
      expect(status).to.equal(409)
      expect(headers['content-type']).to.equal('application/problem+json')
      expect(body).to.deep.include({ detail: TAKEN, non_field_errors: [TAKEN] })
      expect((await post({ name: 'Perth', agency: 12 })).status).to.equal(201)
    })

    it('creates one of several concurrent branches with the same name', async () => {
      const body = { name: 'Twice', agency: 11 }
      const answers = await Promise.all([post(body), post(body), post(body)])
      const statuses = answers.map(({ status }) => status)
      expect(statuses).to.have.members([201, 409, 409])
    })

    it('rejects invalid fields with 400 and a message each', async () => {
      for (const [body, field, message] of [
        [{}, 'name', 'This field is required.'],
        [undefined, 'name', 'This field is required.'],
        [{ name: null }, 'name', 'This field may not be null.'],
        [{ name: ' ' }, 'name', 'This field may not be blank.'],
        [{ name: 'x'.repeat(141) }, 'name', 'Ensure this field has no more than 140 characters.'],
        [{ name: 'x', agency: 9 }, 'agency', 'Invalid pk "9" - object does not exist.'],
        [{ name: 'x', manager: '9' }, 'manager', 'Invalid pk "9" - object does not exist.'],
        [{ name: 'x', manager: 'me' }, 'manager', 'A valid integer is required.'],
        [{ name: 'x', manager: -1 }, 'manager', 'A valid integer is required.'],
      ] as const) {
        const answer = await post(body)
        expect(answer.status, message).to.equal(400)
        expect(answer.body).to.have.property(field).that.includes(message)
      }
    })
  })

  describe('PUT /agencies/branches/:id', () => {
    it('lets only superusers change a branch [T73, 200 instead of 202]', async () => {
      const { status, body } = await put({ name: 'Kensington', manager: null })
      expect(status).to.equal(200)
      expect(branch.parse(body)).to.deep.equal({
        id: 21,
        name: 'Kensington',
        agency: 11,
        manager: null,
      })
      expect((await stored())?.updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
      expect((await put({ name: 5 }, LEA)).status).to.equal(403)
      expect((await put({}, OLD)).status).to.equal(401)
      expect((await put({}, LEA, '999')).status).to.equal(403)
      expect((await put({}, SUE, '999')).body).to.include({ detail: 'Branch 999 not found' })
    })

    it('writes nothing if no value changes', async () => {
      const before = await stored()
      for (const body of [{}, { name: 'Perth' }, { name: 'Perth', agency: 11, id: 5 }]) {
        expect((await put(body)).status).to.equal(200)
      }
      expect(await stored()).to.deep.equal(before)
    })

    it('rejects an invalid name with 400 and an existing one with 409', async () => {
      expect((await put({ name: '' })).status).to.equal(400)
      expect((await put({ name: null })).status).to.equal(400)
      expect((await put({ agency: 9 })).status).to.equal(400)
      expect((await put({ name: 'Albany 100%' })).status).to.equal(409)
      expect((await put({ name: 'Perth', agency: null }, SUE, '22')).status).to.equal(200)
      expect((await put({ agency: 11 }, SUE, '22')).status).to.equal(409)
    })

    it('keeps concurrent changes of other fields', async () => {
      await Promise.all([put({ name: 'Kensington' }), put({ manager: 2 }), put({ agency: 12 })])
      expect(await stored()).to.include({ name: 'Kensington', manager_id: '2', agency_id: '12' })
    })
  })

  describe('DELETE /agencies/branches/:id', () => {
    it('deletes the addresses of the branch, and keeps its users [T73]', async () => {
      const { status, body } = await remove()
      expect({ status, body }).to.deep.equal({ status: 204, body: '' })
      const addresses = await api.db.selectFrom('contacts_address').select('id').execute()
      expect(addresses).to.deep.equal([])
      const work = await api.db
        .selectFrom('users_userwork')
        .select(['id', 'branch_id'])
        .orderBy('id')
        .execute()
      expect(work).to.deep.equal([
        { id: '33', branch_id: null },
        { id: '34', branch_id: '22' },
      ])
      expect((await remove()).status).to.equal(404)
    })

    it('accepts superusers only', async () => {
      expect((await remove(LEA)).status).to.equal(403)
      expect((await remove(OLD)).status).to.equal(401)
      expect((await remove(LEA, '999')).status).to.equal(403)
      expect((await api.send('DELETE', 'agencies/branches/21')).status).to.equal(401)
    })

    it('answers 409 while an unknown table refers to the branch', async () => {
      await sql`create table other (branch_id bigint references agencies_branch deferrable initially deferred)`.execute(
        api.db,
      )
      await sql`insert into other values (21)`.execute(api.db)
      try {
        const { status, body } = await remove()
        expect(status).to.equal(409)
        expect(body).to.include({ detail: 'Other rows still refer to this one.' })
        expect((await api.send('GET', 'agencies/branches/21', { as: SUE })).status).to.equal(200)
      } finally {
        await sql`drop table other`.execute(api.db)
      }
    })

    if (madeByDjango) {
      it('deletes the contact of the branch, for which only Django has a table', async () => {
        await sql`
          create table contacts_branchcontact (
            branch_id bigint not null references agencies_branch deferrable initially deferred,
            address_id bigint references contacts_address deferrable initially deferred
          )`.execute(api.db)
        await sql`insert into contacts_branchcontact values (21, 24)`.execute(api.db)
        try {
          expect((await remove()).status).to.equal(204)
        } finally {
          await sql`drop table contacts_branchcontact`.execute(api.db)
        }
      })
    }
  })
})
