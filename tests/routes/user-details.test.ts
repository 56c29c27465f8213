import { expect } from 'chai'
import { membership } from '../../shared/shapes/membership.ts'
import { personalInformation } from '../../shared/shapes/personal-information.ts'
import { describeOnBothTables } from '../support/both-tables.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'

describeOnBothTables('personal information and membership over HTTP', (api) => {
  const put = (path: string, body: unknown, as = SUE) => api.send('PUT', path, { as, body })
  const row = (table: 'users_user' | 'users_userprofile' | 'contacts_usercontact', user = SUE) =>
    api.db
      .selectFrom(table as 'contacts_usercontact')
      .selectAll()
      .where(table === 'users_user' ? 'id' : 'user_id', '=', String(user))
      .executeTakeFirst()
  const work = (user = LEA) =>
    api.db
      .selectFrom('users_userwork')
      .selectAll()
      .where('user_id', '=', String(user))
      .executeTakeFirst()

  for (const part of ['pi', 'membership']) {
    it(`accept the user and superusers only: ${part}`, async () => {
      const path = `users/1/${part}`
      for (const as of [LEA, SUE]) expect((await put(path, {}, as)).status).to.equal(200)
      for (const [as, wanted] of [
        [MEL, 403],
        [OUT, 403],
        [OLD, 401],
      ] as const) {
        expect((await put(path, { role: 5, title: 5 }, as)).status).to.equal(wanted)
      }
      expect((await api.send('PUT', path, { body: {} })).status).to.equal(401)
      const headers = { 'X-CSRFToken': '' }
      expect((await api.send('PUT', path, { as: LEA, body: {}, headers })).status).to.equal(403)
      expect((await api.send('GET', path, { as: LEA })).status).to.equal(405)
      for (const id of ['999', TOO_BIG]) {
        const { status, body } = await put(`users/${id}/${part}`, {})
        expect(status).to.equal(404)
        expect(body).to.include({ detail: `User ${id} not found` })
      }
    })
  }

  describe('PUT /users/:id/pi', () => {
    it('writes the fields to their tables, and changes nothing else [T25]', async () => {
      const before = [await row('users_user'), await row('contacts_usercontact')] as const
      const { status, headers, body } = await put('users/3/pi', {
        display_first_name: ' Susan ',
        title: 'prof',
        fax: '2',
        first_name: 'Read-only',
        email: 'read@only.test',
        colour: 'red',
      })
      expect(status).to.equal(200)
      expect(headers['cache-control']).to.equal('no-store')
      expect(personalInformation.parse(body)).to.deep.equal({
        first_name: 'Sue',
        last_name: 'Cedar',
        email: 'sue@spms.test',
        display_first_name: 'Susan',
        display_last_name: 'Cedar',
        title: 'prof',
        phone: '1',
        fax: '2',
      })
      const { updated_at, ...contact } = { ...(await row('contacts_usercontact')) }
      expect(await row('users_user')).to.deep.equal({ ...before[0], display_first_name: 'Susan' })
      expect({ ...contact, updated_at: before[1]?.updated_at }).to.deep.equal({
        ...before[1],
        fax: '2',
      })
      expect(updated_at?.getTime()).to.be.closeTo(Date.now(), 60_000)
      expect(await row('users_userprofile')).to.include({ title: 'prof' })
    })

    it('creates a missing contact, and ignores a title without a profile', async () => {
      const { body } = await put('users/2/pi', { phone: '3', title: 'ms' }, MEL)
      expect(body).to.include({ phone: '3', fax: null, title: null })
      expect(await row('contacts_usercontact', MEL)).to.include({ phone: '3', alt_phone: null })
      expect(await row('users_userprofile', MEL)).to.equal(undefined)
    })

    it('replaces an empty display name by the name of the user', async () => {
      const { body } = await put('users/3/pi', { display_first_name: '', display_last_name: null })
      expect(body).to.include({ display_first_name: 'Sue', display_last_name: 'Cedar' })
    })

    it('clears fields with null', async () => {
      const { body } = await put('users/3/pi', { phone: null, title: null })
      expect(body).to.include({ phone: null, title: null, fax: null })
    })

    it('writes nothing if no value changes', async () => {
      const before = await row('contacts_usercontact')
      for (const body of [{}, { phone: '1', title: 'dr', display_first_name: 'Sue' }]) {
        expect((await put('users/3/pi', body)).status).to.equal(200)
      }
      expect(await row('contacts_usercontact')).to.deep.equal(before)
    })

    it('keeps concurrent changes of different fields', async () => {
      await Promise.all([
        put('users/2/pi', { phone: '1' }, MEL),
        put('users/2/pi', { fax: '2' }, SUE),
        put('users/2/pi', { display_first_name: 'M' }, SUE),
        put('users/2/pi', { display_last_name: 'B' }, MEL),
      ])
      expect(await row('contacts_usercontact', MEL)).to.include({ phone: '1', fax: '2' })
      expect(await row('users_user', MEL)).to.include({
        display_first_name: 'M',
        display_last_name: 'B',
      })
    })

    it('rejects invalid fields with 400 and a message each, and writes nothing', async () => {
      for (const [body, field, message] of [
        [{ display_first_name: 'x'.repeat(202) }, 'display_first_name', /no more than 201/],
        [{ display_last_name: 5 }, 'display_last_name', /Not a valid string/],
        [{ title: 'x'.repeat(21) }, 'title', /no more than 20/],
        [{ phone: 'x'.repeat(21) }, 'phone', /no more than 20/],
        [{ fax: '\0' }, 'fax', /Null characters/],
      ] as const) {
        const answer = await put('users/3/pi', { phone: '9', ...body })
        expect(answer.status).to.equal(400)
        expect(String(Object(answer.body).errors?.[field])).to.match(message)
      }
      expect(await row('contacts_usercontact')).to.include({ phone: '1' })
    })
  })

  describe('PUT /users/:id/membership', () => {
    it('writes the fields of the body [T27]', async () => {
      const { status, body } = await put('users/1/membership', { role: 'Guide', affiliation: '36' })
      expect(status).to.equal(200)
      expect(membership.parse(body)).to.deep.equal({
        role: 'Guide',
        business_area: 31,
        affiliation: 36,
        branch: 21,
      })
      const cleared = await put('users/1/membership', {
        role: null,
        business_area: null,
        affiliation: null,
        branch: null,
        agency: 12,
      })
      expect(Object.values(membership.parse(cleared.body))).to.deep.equal([null, null, null, null])
      expect(await work()).to.include({ agency_id: null, role: null })
    })

    it('answers 404 without a work record [T27]', async () => {
      const { status, body } = await put('users/4/membership', { role: 'Guide' }, OUT)
      expect(status).to.equal(404)
      expect(body).to.include({ detail: 'No work record found', error: 'No work record found' })
    })

    it('writes nothing if no value changes', async () => {
      const before = await work()
      for (const body of [{}, { role: 'Admin', branch: 21 }]) await put('users/1/membership', body)
      expect(await work()).to.deep.equal(before)
    })

    it('keeps concurrent changes of different fields', async () => {
      const changes = [
        { role: 'Guide' },
        { business_area: 32 },
        { branch: 22 },
        { affiliation: 36 },
      ]
      const answers = await Promise.all(changes.map((body) => put('users/1/membership', body)))
      expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200])
      expect(await work()).to.include({
        role: 'Guide',
        business_area_id: '32',
        branch_id: '22',
        affiliation_id: '36',
      })
    })

    it('rejects invalid fields with 400 and a message each', async () => {
      const before = await work()
      for (const [body, field, message] of [
        [{ role: 'x'.repeat(31) }, 'role', /no more than 30/],
        [{ business_area: 'x' }, 'business_area', /A valid integer/],
        [{ business_area: 999 }, 'business_area', /Invalid pk "999"/],
        [{ affiliation: 999 }, 'affiliation', /Invalid pk "999"/],
        [{ branch: TOO_BIG }, 'branch', /Invalid pk/],
        [{ branch: 999 }, 'branch', /Invalid pk "999"/],
      ] as const) {
        const answer = await put('users/1/membership', { role: 'Guide', ...body })
        expect(answer.status, field).to.equal(400)
        expect(String(Object(answer.body)[field])).to.match(message)
      }
      expect(await work()).to.deep.equal(before)
    })
  })
})
