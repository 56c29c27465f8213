import { expect } from 'chai'
import { z } from 'zod'
import { education, employment } from '../../shared/shapes/staff-profile.ts'
import { describeOnBothTables } from '../support/both-tables.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'

// Profile 41 of Lea is visible, profile 42 of Mel is hidden. Employment entry 43 belongs to Lea and
// 44 to Mel, education entry 45 to Lea.
const LISTS = [
  {
    path: 'employment_entries',
    table: 'users_employmententry',
    shape: employment,
    entity: 'Employment entry',
    id: '43',
    least: { position_title: 'Ranger', start_year: 2015, employer: 'DBCA' },
    whole: {
      position_title: 'Ranger',
      start_year: 2015,
      end_year: 2016,
      section: 'Parks',
      employer: 'DBCA',
    },
    stored: { end_year: null, section: '' },
    wrong: [
      [{ position_title: undefined }, 'position_title', 'This field is required.'],
      [{ position_title: null }, 'position_title', 'This field may not be null.'],
      [{ position_title: ' ' }, 'position_title', 'This field may not be blank.'],
      [{ position_title: 'x'.repeat(201) }, 'position_title', /no more than 200/],
      [{ start_year: undefined }, 'start_year', 'This field is required.'],
      [{ start_year: 'x' }, 'start_year', 'A valid integer is required.'],
      [{ start_year: -1 }, 'start_year', /greater than or equal to 0/],
      [{ end_year: 2 ** 31 }, 'end_year', /less than or equal to/],
      [{ section: 'x'.repeat(201) }, 'section', /no more than 200/],
      [{ section: 5 }, 'section', 'Not a valid string.'],
      [{ employer: undefined }, 'employer', 'This field is required.'],
      [{ employer: 'x'.repeat(201) }, 'employer', /no more than 200/],
    ],
    cleared: { end_year: null, section: null, employer: null },
  },
  {
    path: 'education_entries',
    table: 'users_educationentry',
    shape: education,
    entity: 'Education entry',
    id: '45',
    least: { qualification_name: 'PhD', end_year: 2015, institution: 'UWA' },
    whole: { qualification_name: 'PhD', end_year: 2015, institution: 'UWA', location: 'Perth' },
    stored: { location: '' },
    wrong: [
      [{ qualification_name: undefined }, 'qualification_name', 'This field is required.'],
      [{ qualification_name: '' }, 'qualification_name', 'This field may not be blank.'],
      [{ qualification_name: 'x'.repeat(201) }, 'qualification_name', /no more than 200/],
      [{ end_year: undefined }, 'end_year', 'This field is required.'],
      [{ end_year: null }, 'end_year', 'This field may not be null.'],
      [{ end_year: 1.5 }, 'end_year', 'A valid integer is required.'],
      [{ institution: undefined }, 'institution', 'This field is required.'],
      [{ institution: 'x'.repeat(201) }, 'institution', /no more than 200/],
      [{ location: null }, 'location', 'This field may not be null.'],
      [{ location: 'x'.repeat(201) }, 'location', /no more than 200/],
    ],
    cleared: { location: '' },
  },
] as const

for (const { path, table, shape, entity, id, least, whole, stored, wrong, cleared } of LISTS) {
  describeOnBothTables(`${path} over HTTP`, (api) => {
    const listPath = (profile = '41') => `users/profiles/${profile}/${path}`
    const onePath = (entry: string = id) => `users/${path}/${entry}`
    const list = async (as: number, profile?: string) => {
      const { status, body } = await api.send('GET', listPath(profile), { as })
      expect(status).to.equal(200)
      return z.array(shape).parse(body)
    }
    const post = (body: unknown, as = LEA, profile?: string) =>
      api.send('POST', listPath(profile), { as, body })
    const put = (body: unknown, as = LEA, entry?: string) =>
      api.send('PUT', onePath(entry), { as, body })
    const row = (entry: string | number) =>
      api.db
        .selectFrom(table as 'users_employmententry')
        .selectAll()
        .where('id', '=', String(entry))
        .executeTakeFirst()

    it('are listed for every user that may read the profile [T44]', async () => {
      for (const as of [LEA, OUT]) expect((await list(as)).map((it) => it.id)).to.include(+id)
      expect(await list(LEA, '999')).to.deep.equal([])

      const { body } = await post(whole, MEL, '42')
      const hidden = shape.parse(body)
      expect(await list(MEL, '42')).to.deep.include(hidden)
      expect(await list(SUE, '42')).to.deep.include(hidden)
      expect(await list(OUT, '42')).to.deep.equal([])
      const one = onePath(String(hidden.id))
      expect((await api.send('GET', one, { as: MEL })).body).to.deep.equal(hidden)
      expect((await api.send('GET', one, { as: OUT })).status).to.equal(404)
    })

    it('are ordered with the latest first, and current entries before ended ones [T44]', async () => {
      const years = path === 'employment_entries' ? [2020, 2021, null] : [2020, 2022, 2021]
      for (const end_year of years) await post({ ...whole, start_year: 2020, end_year })
      const latest = (await list(LEA)).slice(0, 3).map(({ end_year }) => end_year)
      const wanted = path === 'employment_entries' ? [null, 2021, 2020] : [2022, 2021, 2020]
      expect(latest).to.deep.equal(wanted)
    })

    it('are created in the profile of the path, with empty values for missing fields [T44]', async () => {
      const { status, headers, body } = await post({ ...least, public_profile: 42 })
      expect(status).to.equal(201)
      expect(headers['cache-control']).to.equal('no-store')
      const made = shape.parse(body)
      expect(made).to.deep.include({ ...least, ...stored, public_profile: 41 })
      expect(await row(made.id)).to.deep.include({ ...least, ...stored, public_profile_id: '41' })

      const second = await post({ ...whole, id: 43, public_profile: 'x' }, SUE)
      expect(second.body).to.deep.include({ ...whole, public_profile: 41 })
    })

    it('are changed only in the fields of the body', async () => {
      const before = await row(id)
      const { status, body } = await put({ ...cleared, public_profile: 42, id: 1 })
      expect(status).to.equal(200)
      expect(shape.parse(body)).to.deep.include({ ...cleared, public_profile: 41, id: +id })
      expect(await row(id)).to.deep.equal({ ...before, ...cleared })
      expect((await put({}, SUE)).body).to.deep.equal(body)
    })

    it('keep concurrent changes of different fields', async () => {
      const changes = Object.entries(whole)
      const answers = await Promise.all(changes.map(([name, value]) => put({ [name]: value })))
      expect(answers.map(({ status }) => status)).to.deep.equal(changes.map(() => 200))
      expect(await row(id)).to.deep.include(whole)
    })

    it('are deleted', async () => {
      const { status, body } = await api.send('DELETE', onePath(), { as: LEA })
      expect({ status, body }).to.deep.equal({ status: 204, body: '' })
      expect(await row(id)).to.equal(undefined)
    })

    it('are rejected with 400 and a message for each invalid field', async () => {
      for (const [change, field, message] of wrong) {
        const { status, body } = await post({ ...whole, ...change })
        expect(status, JSON.stringify(change)).to.equal(400)
        expect(body).to.have.property(field).that.is.an('array').with.length(1)
        expect(String(Object(body)[field])).to.match(new RegExp(message))
      }
      for (const [change, field, message] of wrong) {
        const answer = await put(change)
        const isMissing = Object.values(change).includes(undefined)
        expect(answer.status).to.equal(isMissing ? 200 : 400)
        if (!isMissing) expect(String(Object(answer.body)[field])).to.match(new RegExp(message))
      }
      expect((await post('[')).status).to.equal(400)
    })

    it('are written by the owner and superusers only, and answered with 404 if missing [T45]', async () => {
      for (const [as, wanted] of [
        [OUT, 403],
        [MEL, 403],
        [OLD, 401],
      ] as const) {
        expect((await post({}, as)).status).to.equal(wanted)
        expect((await put({}, as)).status).to.equal(wanted)
        expect((await api.send('DELETE', onePath(), { as })).status).to.equal(wanted)
      }
      // A hidden profile and its entries do not exist for other users.
      const hidden = shape.parse((await post(whole, MEL, '42')).body).id
      for (const as of [LEA, OUT]) {
        for (const body of [whole, { start_year: 'x' }]) {
          expect((await post(body, as, '42')).body).to.include({ detail: 'Profile 42 not found' })
          const answer = await put(body, as, String(hidden))
          expect(answer.status).to.equal(404)
          expect(answer.body).to.include({ detail: `${entity} ${hidden} not found` })
        }
        expect((await api.send('DELETE', onePath(String(hidden)), { as })).status).to.equal(404)
      }
      expect((await put(whole, SUE, String(hidden))).status).to.equal(200)
      for (const method of ['GET', 'PUT', 'DELETE']) {
        expect((await api.send(method, onePath())).status).to.equal(401)
        const unknown = await api.send(method, onePath('999'), { as: OUT })
        expect(unknown.status).to.equal(404)
        expect(unknown.body).to.include({ detail: `${entity} 999 not found` })
        expect((await api.send(method, onePath(TOO_BIG), { as: OUT })).status).to.equal(404)
        expect((await api.send(method, onePath('x'), { as: OUT })).status).to.equal(404)
      }
      expect((await api.send('GET', listPath())).status).to.equal(401)
      expect((await api.send('POST', listPath(), { body: whole })).status).to.equal(401)
      const unknown = await post(whole, LEA, '999')
      expect(unknown.status).to.equal(404)
      expect(unknown.body).to.include({ detail: 'Profile 999 not found' })
      const headers = { 'X-CSRFToken': 'wrong' }
      const forged = await api.send('POST', listPath(), { as: LEA, body: whole, headers })
      expect(forged.status).to.equal(403)
      expect((await api.send('PATCH', onePath(), { as: LEA })).status).to.equal(405)
    })
  })
}
