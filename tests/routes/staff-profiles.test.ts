import { expect } from 'chai'
import type { Database } from '../../db/schema.ts'
import {
  privateStaffProfile,
  staffCv,
  staffHero,
  staffOverview,
  staffPage,
  staffProfile,
} from '../../shared/shapes/staff-profile.ts'
import { describeOnBothTables } from '../support/both-tables.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const VISIBLE = 'users/staffprofiles/41'
const HIDDEN = 'users/staffprofiles/42'
const TOO_BIG = '9223372036854775808'

describeOnBothTables('staff profiles over HTTP', (api) => {
  const list = (query: string) => api.send('GET', `users/staffprofiles${query}`)
  const projects = (id: string) => api.send('GET', `users/${id}/projects_staff_profile`)
  const put = (body: unknown, as = LEA) => api.send('PUT', VISIBLE, { as, body })
  const toggle = (as?: number) => api.send('POST', `${VISIBLE}/toggle_visibility`, as ? { as } : {})
  const remove = (as?: number) => api.send('DELETE', VISIBLE, as ? { as } : {})
  const stored = () =>
    api.db
      .selectFrom('users_publicstaffprofile')
      .selectAll()
      .where('id', '=', '41')
      .executeTakeFirstOrThrow()
  const left = (table: keyof Database) =>
    api.db
      .selectFrom(table as 'users_user')
      .select('id')
      .orderBy('id')
      .execute()

  describe('GET /users/staffprofiles', () => {
    it('lists visible profiles publicly', async () => {
      const { status, headers, body } = await list('')
      expect(status).to.equal(200)
      expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=off')
      const page = staffPage.parse(body)
      expect(page.profiles.map(({ id }) => id)).to.deep.equal([41])
      expect(page).to.include({ total_results: 1, total_pages: 1 })
    })

    it('clamps page numbers and sizes, and ignores unknown parameters', async () => {
      const first = await list('')
      for (const query of [
        '?page=0',
        '?page=-1',
        '?page=x',
        '?page=',
        '?page=1.5',
        '?page_size=0',
        '?page_size=101',
        '?page_size=x',
        '?page_size=24',
        '?page=9&page=1',
        '?search=&business_area=&is_active=true&public=x&colour=red',
        '?business_area=031',
      ]) {
        const answer = await list(query)
        expect(answer.body, query).to.deep.equal(first.body)
        expect(answer.headers['cache-status'], query).to.contain('detail=off')
      }
    })

    it('is empty past the last page and for a business area without staff', async () => {
      for (const query of [
        '?page=2',
        '?page=99999999999999999999999',
        '?page=9007199254740991',
        '?business_area=32',
        '?business_area=9223372036854775807',
        '?page=9007199254740991&page_size=100',
      ]) {
        const { status, body } = await list(query)
        expect(status, query).to.equal(200)
        expect(body, query).to.have.property('profiles').that.deep.equals([])
      }
    })

    it('does not cache searches and other page sizes', async () => {
      for (const [query, detail, total] of [
        ['?search=le', 'search', 1],
        ['?search=orchid%25', 'search', 0],
        ['?search=lea%40public', 'search', 1],
        ['?search=lea%40spms', 'search', 0],
        ['?page_size=5', 'page-size', 1],
      ] as const) {
        const { status, headers, body } = await list(query)
        expect(status, query).to.equal(200)
        expect(headers['cache-status']).to.equal(`spms; fwd=bypass; detail=${detail}`)
        expect(headers['cache-control']).to.equal('private, no-store')
        expect(staffPage.parse(body).total_results, query).to.equal(total)
      }
    })

    it('rejects invalid parameters with 400 by name', async () => {
      for (const [query, field, message] of [
        ['?business_area=x', 'business_area', 'A valid integer is required.'],
        ['?business_area=-1', 'business_area', 'A valid integer is required.'],
        [
          `?business_area=${TOO_BIG}`,
          'business_area',
          `Invalid pk "${TOO_BIG}" - object does not exist.`,
        ],
        ['?search=%00', 'search', 'Null characters are not allowed.'],
      ] as const) {
        const { status, headers, body } = await list(query)
        expect(status, query).to.equal(400)
        expect(headers['content-type']).to.equal('application/problem+json')
        expect(body).to.have.property(field).that.deep.equals([message])
        expect(body).to.have.property('detail')
      }
    })
  })

  describe('POST /users/staffprofiles', () => {
    const post = (body: unknown, as = OUT) => api.send('POST', 'users/staffprofiles', { as, body })
    const profileOf = (user: number) =>
      api.db
        .selectFrom('users_publicstaffprofile')
        .selectAll()
        .where('user_id', '=', String(user))
        .executeTakeFirst()

    it('creates a profile of the current user, and ignores a user in the body [T31]', async () => {
      const { status, headers, body } = await post({ user: LEA, about: ' Here ', id: 41 })
      expect(status).to.equal(201)
      expect(headers['cache-control']).to.equal('no-store')
      const made = privateStaffProfile.parse(body)
      expect(made).to.deep.include({ about: 'Here', expertise: '', is_hidden: false })
      expect(made.user).to.include({ id: OUT, first_name: 'Out' })

      const row = await profileOf(OUT)
      expect(row).to.include({ id: String(made.id), about: 'Here', public_email_on: false })
      expect(row?.created_at.getTime()).to.be.closeTo(Date.now(), 60_000)
      expect((await api.send('GET', `users/staffprofiles/${made.id}`)).status).to.equal(200)
    })

    it('answers 409 to a second profile of a user, also to a concurrent one [T31]', async () => {
      const taken = await post({}, LEA)
      expect(taken.status).to.equal(409)
      expect(taken.body).to.include({ detail: 'Profile already exists for this user' })

      const answers = await Promise.all([post({ is_hidden: true }), post({ is_hidden: true })])
      expect(answers.map(({ status }) => status)).to.have.members([201, 409])
      expect(await profileOf(OUT)).to.include({ is_hidden: true })
    })

    it('requires a session and valid fields', async () => {
      expect((await api.send('POST', 'users/staffprofiles', { body: {} })).status).to.equal(401)
      expect((await post({}, OLD)).status).to.equal(401)
      for (const [body, field, message] of [
        [{ about: 5 }, 'about', 'Not a valid string.'],
        [{ expertise: '\0' }, 'expertise', 'Null characters are not allowed.'],
        [{ is_hidden: 'no' }, 'is_hidden', 'Must be a valid boolean.'],
      ] as const) {
        const { status, body: problem } = await post(body)
        expect(status).to.equal(400)
        expect(problem).to.have.property(field).that.deep.equals([message])
      }
      expect(await profileOf(OUT)).to.equal(undefined)
    })
  })

  describe('GET /users/staffprofiles/:id', () => {
    it('shows a visible profile and its sections publicly', async () => {
      for (const [path, shape] of [
        [VISIBLE, staffProfile],
        [`${VISIBLE}/hero`, staffHero],
        [`${VISIBLE}/overview`, staffOverview],
        [`${VISIBLE}/cv`, staffCv],
      ] as const) {
        for (const as of [undefined, OUT]) {
          const { status, headers, body } = await api.send('GET', path, as ? { as } : {})
          expect(status, path).to.equal(200)
          expect(headers['vary'], path).to.equal(
            'Cookie, Authorization, Consistency-Token, Accept-Encoding',
          )
          expect(shape.parse(body).id).to.equal(41)
        }
      }
    })

    it('answers 404 to other users for a hidden profile, and for a missing one', async () => {
      for (const section of ['', '/hero', '/overview', '/cv']) {
        for (const as of [undefined, OUT, LEA, OLD]) {
          const { status, headers, body } = await api.send(
            'GET',
            `${HIDDEN}${section}`,
            as ? { as } : {},
          )
          expect(status).to.equal(404)
          expect(headers['content-type']).to.equal('application/problem+json')
          expect(body).to.include({ detail: 'Profile 42 not found' })
        }
      }
      const { status } = await api.send('GET', 'users/staffprofiles/999', { as: SUE })
      expect(status).to.equal(404)
    })

    it('shows all fields to the owner and superusers, without caching', async () => {
      for (const as of [MEL, SUE]) {
        const { status, headers, body } = await api.send('GET', HIDDEN, { as })
        expect(status).to.equal(200)
        expect(headers['cache-control']).to.equal('private, no-store')
        expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=private')
        const profile = privateStaffProfile.parse(body)
        expect(profile).to.include({ is_hidden: true, custom_title: 'Warden' })
        expect(profile.user.email).to.equal('mel@spms.test')

        for (const [section, shape] of [
          ['hero', staffHero],
          ['overview', staffOverview],
          ['cv', staffCv],
        ] as const) {
          const answer = await api.send('GET', `${HIDDEN}/${section}`, { as })
          expect(answer.headers['cache-control']).to.equal('private, no-store')
          expect(shape.parse(answer.body).id).to.equal(42)
        }
      }
    })

    it('accepts leading zeros in the id, and answers 404 for other paths', async () => {
      const { body } = await api.send('GET', 'users/staffprofiles/00041')
      expect(body).to.include({ id: 41 })
      for (const path of [
        TOO_BIG,
        '99999999999999999999',
        '-41',
        '41.0',
        '0x29',
        'x',
        '41/',
        '41/Hero',
        '41/publications',
        '%00',
      ]) {
        const { status, headers } = await api.send('GET', `users/staffprofiles/${path}`)
        expect(status, path).to.equal(404)
        expect(headers['content-type']).to.equal('application/problem+json')
      }
    })

    it('answers HEAD, and 405 to other methods', async () => {
      for (const [path, as] of [
        ['users/staffprofiles', undefined],
        ['users/staffprofiles?search=x', undefined],
        [VISIBLE, undefined],
        [VISIBLE, LEA],
        [`${VISIBLE}/cv`, undefined],
        ['users/1/projects_staff_profile', undefined],
      ] as const) {
        const get = await api.send('GET', path, as ? { as } : {})
        const head = await api.send('HEAD', path, as ? { as } : {})
        expect(head).to.include({ status: 200, body: '' })
        expect(head.headers['content-length']).to.equal(get.headers['content-length'])
      }
      for (const [method, path, allow] of [
        ['PUT', 'users/staffprofiles', 'GET, POST, HEAD'],
        ['PATCH', VISIBLE, 'GET, PUT, DELETE, HEAD'],
        ['PUT', `${VISIBLE}/hero`, 'GET, HEAD'],
        ['GET', `${VISIBLE}/toggle_visibility`, 'POST'],
      ] as const) {
        const { status, headers } = await api.send(method, path)
        expect(status, path).to.equal(405)
        expect(headers['allow']).to.equal(allow)
      }
    })
  })

  describe('GET /users/:id/projects_staff_profile', () => {
    it('is public', async () => {
      const { status, headers, body } = await projects('1')
      expect(status).to.equal(200)
      expect(headers['vary']).to.equal('Cookie, Authorization, Consistency-Token, Accept-Encoding')
      expect(body).to.have.length(1)
    })

    it('is empty without a visible profile', async () => {
      for (const id of ['2', '3', '999']) {
        const { status, headers, body } = await projects(id)
        expect(status).to.equal(200)
        expect(body).to.deep.equal([])
        expect(headers['etag']).to.equal('"none"')
      }
      expect((await projects(TOO_BIG)).status).to.equal(404)
      expect((await projects('x')).status).to.equal(404)
    })
  })

  describe('PUT /users/staffprofiles/:id', () => {
    it('accepts the owner or a superuser', async () => {
      for (const as of [LEA, SUE]) {
        const { status, headers, body } = await put({ about: ` By ${as} ` }, as)
        expect(status).to.equal(200)
        expect(headers['cache-control']).to.equal('no-store')
        expect(privateStaffProfile.parse(body).about).to.equal(`By ${as}`)
      }
      expect((await stored()).updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
    })

    it('rejects other users with 403 regardless of the body', async () => {
      for (const [as, status] of [
        [OUT, 403],
        [MEL, 403],
        [OLD, 401],
      ] as const) {
        for (const body of [{ about: 'x' }, { is_hidden: 'x' }, [], {}]) {
          expect((await put(body, as)).status).to.equal(status)
        }
      }
      const anonymous = await api.send('PUT', VISIBLE, { body: { about: 'x' } })
      expect(anonymous.status).to.equal(401)
      expect(anonymous.body).to.include({
        detail: 'Authentication credentials were not provided.',
      })
      expect((await stored()).about).to.equal('About Lea')
    })

    it('answers 404 to other users for a hidden profile, as for a missing one', async () => {
      const hide = (
        table: 'users_publicstaffprofile' | 'users_user',
        columns: object,
        id: number,
      ) => api.db.updateTable(table).set(columns).where('id', '=', String(id)).execute()
      const rejected = async () => {
        for (const as of [LEA, OUT]) {
          for (const [method, path, body] of [
            ['PUT', HIDDEN, { about: 'x' }],
            ['PUT', HIDDEN, { about: 5 }],
            ['DELETE', HIDDEN, undefined],
            ['POST', `${HIDDEN}/toggle_visibility`, undefined],
          ] as const) {
            const answer = await api.send(method, path, { as, ...(body && { body }) })
            expect(answer.status, `${method} ${path}`).to.equal(404)
            expect(answer.body).to.include({ detail: 'Profile 42 not found' })
          }
        }
      }
      await rejected()
      expect((await api.send('PUT', HIDDEN, { as: MEL, body: {} })).status).to.equal(200)
      // The profile of an inactive user is hidden too.
      await hide('users_publicstaffprofile', { is_hidden: false }, 42)
      expect((await api.send('DELETE', HIDDEN, { as: OUT })).status).to.equal(403)
      await hide('users_user', { is_active: false }, MEL)
      await rejected()
      expect((await api.send('DELETE', HIDDEN, { as: SUE })).status).to.equal(204)
    })

    it('requires the CSRF token', async () => {
      for (const token of ['', 'another']) {
        for (const [method, path] of [
          ['PUT', VISIBLE],
          ['DELETE', VISIBLE],
          ['POST', `${VISIBLE}/toggle_visibility`],
        ] as const) {
          const { status, body } = await api.send(method, path, {
            as: LEA,
            body: {},
            headers: { 'X-CSRFToken': token },
          })
          expect(status).to.equal(403)
          expect(body)
            .to.have.property('detail')
            .that.matches(/^CSRF Failed/)
        }
      }
    })

    it('answers 404 for a profile that does not exist', async () => {
      for (const as of [LEA, SUE]) {
        const { status, body } = await api.send('PUT', 'users/staffprofiles/999', {
          as,
          body: {},
        })
        expect(status).to.equal(404)
        expect(body).to.include({ detail: 'Profile 999 not found' })
      }
    })

    it('clears optional fields, and ignores fields that cannot be written', async () => {
      const { status } = await put({
        about: null,
        expertise: '',
        public_email: null,
        custom_title: null,
        id: 9,
        user: 2,
        user_id: 2,
        keywords: ['x'],
        updated_at: 'x',
        employee_id: '1',
      })
      expect(status).to.equal(200)
      expect(await stored()).to.include({
        about: null,
        expertise: '',
        public_email: null,
        custom_title: null,
        user_id: '1',
        employee_id: null,
      })
    })

    it('stores values of the maximum length [T33, 200 instead of 202]', async () => {
      const sent = {
        about: '<p>🌏 Ngurra</p>',
        custom_title: '🌏'.repeat(50),
        custom_title_on: true,
        public_email: 'someone@else.test',
        public_email_on: true,
        is_hidden: true,
      }
      const { status, body } = await put(sent)
      expect(status).to.equal(200)
      expect(body).to.include(sent)
      expect(body).to.have.nested.property('work.role', sent.custom_title)
      expect(body).to.have.nested.property('user.email', sent.public_email)
    })

    it('writes nothing if no value changes', async () => {
      const before = await stored()
      for (const body of [{}, undefined, { about: 'About Lea', is_hidden: false }]) {
        expect((await put(body)).status).to.equal(200)
      }
      expect(await stored()).to.deep.equal(before)
    })

    it('rejects invalid fields with 400 and a message each, and writes nothing', async () => {
      const bad: readonly (readonly [unknown, string, string])[] = [
        [{ is_hidden: 'yes' }, 'is_hidden', 'Must be a valid boolean.'],
        [{ is_hidden: null }, 'is_hidden', 'This field may not be null.'],
        [{ about: 5 }, 'about', 'Not a valid string.'],
        [{ about: ['x'] }, 'about', 'Not a valid string.'],
        [{ about: 'a\0b' }, 'about', 'Null characters are not allowed.'],
        [{ expertise: '\ud800' }, 'expertise', 'Surrogate characters are not allowed.'],
        [
          { custom_title: 'x'.repeat(51) },
          'custom_title',
          'Ensure this field has no more than 50 characters.',
        ],
        [{ public_email: 'x' }, 'public_email', 'Enter a valid email address.'],
        [
          { public_email: `${'x'.repeat(250)}@a.test` },
          'public_email',
          'Ensure this field has no more than 254 characters.',
        ],
        [[], 'non_field_errors', 'Invalid data. Expected a dictionary.'],
      ]
      for (const [body, field, message] of bad) {
        const sent = Array.isArray(body) ? body : { about: 'Not stored', ...(body as object) }
        const answer = await put(sent)
        expect(answer.status, message).to.equal(400)
        expect(answer.headers['content-type']).to.equal('application/problem+json')
        expect(answer.body).to.have.property(field).that.includes(message)
        expect(answer.body).to.have.property('detail').that.contains(message)
      }
      expect((await stored()).about).to.equal('About Lea')
    })

    it('rejects malformed JSON with 400, large bodies with 413 and other types with 415', async () => {
      const broken = await put('{')
      expect(broken.status).to.equal(400)
      expect(broken.body)
        .to.have.property('detail')
        .that.matches(/^JSON parse error/)
      expect((await put('null')).status).to.equal(400)
      expect((await put(`{"about":"${'x'.repeat(20_000)}"}`)).status).to.equal(413)
      const headers = { 'Content-Type': 'text/plain' }
      const other = await api.send('PUT', VISIBLE, { as: LEA, body: 'about=x', headers })
      expect(other.status).to.equal(415)
    })

    it('keeps concurrent changes of other fields', async () => {
      for (let round = 0; round < 10; round += 1) {
        const answers = await Promise.all([
          put({ about: `a${round}` }),
          put({ expertise: `e${round}` }, SUE),
          put({ custom_title: `t${round}` }),
        ])
        expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200])
        expect(await stored()).to.include({
          about: `a${round}`,
          expertise: `e${round}`,
          custom_title: `t${round}`,
        })
      }
    })
  })

  describe('POST /users/staffprofiles/:id/toggle_visibility', () => {
    it('hides a profile, and shows it again [T33]', async () => {
      expect((await toggle(LEA)).body).to.include({ id: 41, is_hidden: true })
      expect((await api.send('GET', VISIBLE)).status).to.equal(404)
      expect((await toggle(SUE)).body).to.include({ id: 41, is_hidden: false })
      expect((await api.send('GET', VISIBLE)).status).to.equal(200)
    })

    it('accepts the owner or a superuser', async () => {
      expect((await toggle()).status).to.equal(401)
      expect((await toggle(OUT)).status).to.equal(403)
      const { status } = await api.send('POST', 'users/staffprofiles/999/toggle_visibility', {
        as: SUE,
      })
      expect(status).to.equal(404)
    })

    it('applies every one of several concurrent toggles', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => toggle(LEA)))
      expect(answers.filter(({ status }) => status === 200)).to.have.length(20)
      expect((await api.send('GET', VISIBLE, { as: LEA })).body).to.include({ is_hidden: false })
    })
  })

  describe('DELETE /users/staffprofiles/:id', () => {
    it('deletes all rows that belong to the profile, and no others [T33]', async () => {
      const { status, headers, body } = await remove(LEA)
      expect(status).to.equal(204)
      expect(headers['cache-control']).to.equal('no-store')
      expect(body).to.equal('')
      expect((await remove(LEA)).status).to.equal(404)

      expect(await left('users_publicstaffprofile')).to.deep.equal([{ id: '42' }])
      expect(await left('users_employmententry')).to.deep.equal([{ id: '44' }])
      expect(await left('users_educationentry')).to.deep.equal([])
      expect(await left('documents_custompublication')).to.deep.equal([])
      expect(await left('users_publicstaffprofile_keyword_tags')).to.deep.equal([])
      expect(await left('users_keywordtag')).to.deep.equal([{ id: '47' }])
    })

    it('accepts the owner or a superuser', async () => {
      expect((await remove()).status).to.equal(401)
      expect((await remove(OUT)).status).to.equal(403)
      expect((await remove(SUE)).status).to.equal(204)
    })

    it('deletes once, and answers 404 to a concurrent deletion', async () => {
      const statuses = (await Promise.all([remove(LEA), remove(SUE)])).map(({ status }) => status)
      expect(statuses).to.have.members([204, 404])
    })
  })
})
