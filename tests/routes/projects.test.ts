import { expect } from 'chai'
import { sql } from 'kysely'
import { z } from 'zod'
import { project } from '../../shared/shapes/project.ts'
import { ownProject } from '../../shared/shapes/project-row.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { effectsOf } from '../support/effects.ts'
import { interleave } from '../support/interleave.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'

describeOnBothTables('projects over HTTP', (api) => {
  const putProject = (body: unknown, as = LEA) => api.send('PUT', 'projects/51', { as, body })
  const storedProject = () =>
    api.db
      .selectFrom('projects_project')
      .selectAll()
      .where('id', '=', '51')
      .executeTakeFirstOrThrow()

  describe('GET /projects/mine', () => {
    it('lists the projects of the user [T61]', async () => {
      for (const [as, ids] of [
        [LEA, [51]],
        [MEL, [51, 52]],
        [OUT, []],
      ] as const) {
        const { status, headers, body } = await api.send('GET', 'projects/mine', { as })
        expect(status).to.equal(200)
        expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=off')
        const found = z
          .array(ownProject)
          .parse(body)
          .map(({ id }) => id)
        expect(found).to.have.members(ids)
      }
    })

    it('requires a session', async () => {
      for (const as of [undefined, OLD]) {
        const { status } = await api.send('GET', 'projects/mine', as ? { as } : {})
        expect(status).to.equal(401)
      }
    })

    it('answers HEAD, and 405 to other methods', async () => {
      expect(await api.send('HEAD', 'projects/mine', { as: LEA })).to.include({
        status: 200,
        body: '',
      })
      expect((await api.send('PUT', 'projects/mine', { as: LEA, body: {} })).status).to.equal(405)
      expect((await api.send('GET', 'projects/mine/', { as: LEA })).status).to.equal(404)
    })
  })

  describe('PUT /projects/:id', () => {
    it('accepts a leader or a superuser [T52, 200 instead of 202]', async () => {
      for (const as of [LEA, SUE]) {
        const { status, headers, body } = await putProject({ title: ` By ${as} ` }, as)
        expect(status).to.equal(200)
        expect(headers['cache-control']).to.equal('no-store')
        expect(project.parse(body).title).to.equal(`By ${as}`)
      }
      expect((await storedProject()).updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
    })

    it('rejects other users with 403 regardless of the body [T52]', async () => {
      for (const [as, status] of [
        [MEL, 403],
        [OUT, 403],
        [OLD, 401],
      ] as const) {
        for (const body of [{ title: 'x' }, { title: 5 }, {}]) {
          expect((await putProject(body, as)).status).to.equal(status)
        }
      }
      expect((await api.send('PUT', 'projects/51', { body: {} })).status).to.equal(401)
      const path = 'projects/52'
      expect((await api.send('PUT', path, { as: MEL, body: {} })).status).to.equal(403)
      expect((await api.send('PUT', path, { as: SUE, body: {} })).status).to.equal(200)
    })

    it('requires the CSRF token', async () => {
      const headers = { 'X-CSRFToken': '' }
      const { status } = await api.send('PUT', 'projects/51', { as: LEA, body: {}, headers })
      expect(status).to.equal(403)
    })

    it('answers 404 for a project that does not exist', async () => {
      const { status, body } = await api.send('PUT', 'projects/999', { as: OUT, body: {} })
      expect(status).to.equal(404)
      expect(body).to.include({ detail: 'Project 999 not found' })
      for (const id of [TOO_BIG, 'x', '-1', '51/']) {
        const answer = await api.send('PUT', `projects/${id}`, { as: SUE, body: {} })
        expect(answer.status, id).to.equal(404)
      }
    })

    it('writes every editable column', async () => {
      const sent = {
        kind: 'external',
        status: 'suspended',
        year: 2147483647,
        number: 0,
        title: 'Title',
        description: '<p>New</p>',
        tagline: '',
        keywords: 'a,b',
        start_date: '2024-02-29',
        end_date: '2030-12-31',
        deletion_requested: true,
        hidden_from_staff_profiles: [1],
      }
      const { status, body } = await putProject({ ...sent, business_area: 32 })
      expect(status).to.equal(200)
      expect(body).to.deep.include(sent)
      expect(body).to.have.nested.property('business_area.id', 32)
      const again = await putProject({ business_area: '0031', hidden_from_staff_profiles: [] })
      expect(again.body).to.have.nested.property('business_area.id', 31)
      expect(again.body).to.have.property('hidden_from_staff_profiles').that.deep.equals([])
    })

    it('lets only a member and superusers choose whether the page of the member shows the project', async () => {
      const put = (hidden_from_staff_profiles: number[], as: number) =>
        putProject({ title: `By ${as}`, hidden_from_staff_profiles }, as)
      // Mel hides the project from their page; Lea leads it.
      await api.send('POST', 'projects/51/toggle_user_profile_visibility', { as: MEL })
      const before = await storedProject()
      for (const hidden of [[], [1], [2, 5], [1, 2, 999]]) {
        expect((await put(hidden, LEA)).status, String(hidden)).to.equal(403)
      }
      expect(await storedProject()).to.deep.equal(before)
      for (const [hidden, as] of [
        [[2, 1], LEA],
        [[1, 2], LEA],
        [[2], LEA],
        [[5], SUE],
        [[], SUE],
      ] as const) {
        const { status, body } = await put([...hidden], as)
        expect(status, String(hidden)).to.equal(200)
        expect(body).to.have.property('hidden_from_staff_profiles').that.deep.equals(hidden)
      }
    })

    it('rejects a list that reverts the choice of a member made while the write waited', async () => {
      const lock = sql`select from projects_project where id = 51 for update`
      const answers = await interleave(api.db, lock, [
        () => api.send('POST', 'projects/51/toggle_user_profile_visibility', { as: MEL }),
        () => putProject({ hidden_from_staff_profiles: [] }),
      ])
      expect(answers.map(({ status }) => status)).to.deep.equal([200, 403])
    })

    it('ignores nulls and fields that cannot be written', async () => {
      const before = await storedProject()
      const { status } = await putProject({
        title: null,
        description: null,
        start_date: null,
        business_area: null,
        status: null,
        id: 9,
        created_at: 'x',
        areas: [1],
        image: 'x',
        business_area_id: 32,
      })
      expect(status).to.equal(200)
      expect(await storedProject()).to.deep.equal(before)
    })

    it('rejects invalid fields with 400 and a message each, and writes nothing', async () => {
      const integer = 'A valid integer is required.'
      const date = 'Date has wrong format. Use one of these formats instead: YYYY-MM-DD.'
      const bad: readonly (readonly [object, string, string])[] = [
        [{ kind: 'x' }, 'kind', '"x" is not a valid choice.'],
        [{ kind: '' }, 'kind', '"" is not a valid choice.'],
        [{ status: 5 }, 'status', '"5" is not a valid choice.'],
        [{ title: ' ' }, 'title', 'This field may not be blank.'],
        [{ title: 'x'.repeat(501) }, 'title', 'Ensure this field has no more than 500 characters.'],
        [
          { tagline: '🌏'.repeat(501) },
          'tagline',
          'Ensure this field has no more than 500 characters.',
        ],
        [{ keywords: ['a'] }, 'keywords', 'Not a valid string.'],
        [{ description: '\0' }, 'description', 'Null characters are not allowed.'],
        [{ year: '2020' }, 'year', integer],
        [{ year: 2020.5 }, 'year', integer],
        [{ year: -1 }, 'year', 'Ensure this value is greater than or equal to 0.'],
        [
          { number: 2147483648 },
          'number',
          'Ensure this value is less than or equal to 2147483647.',
        ],
        [{ start_date: '2023-02-29' }, 'start_date', date],
        [{ start_date: '2023-02-01T00:00:00Z' }, 'start_date', date],
        [{ end_date: 5 }, 'end_date', date],
        [{ end_date: '0000-01-01' }, 'end_date', 'There is no year 0.'],
        [{ business_area: 9 }, 'business_area', 'Invalid pk "9" - object does not exist.'],
        [
          { business_area: TOO_BIG },
          'business_area',
          `Invalid pk "${TOO_BIG}" - object does not exist.`,
        ],
        [{ business_area: { id: 31 } }, 'business_area', integer],
        [{ business_area: true }, 'business_area', integer],
        [{ business_area: '' }, 'business_area', integer],
        [{ deletion_requested: 1 }, 'deletion_requested', 'Must be a valid boolean.'],
        [
          { hidden_from_staff_profiles: 'x' },
          'hidden_from_staff_profiles',
          'Expected a list of items.',
        ],
        [
          { hidden_from_staff_profiles: [null] },
          'hidden_from_staff_profiles',
          'This field may not be null.',
        ],
        [{ hidden_from_staff_profiles: ['1'] }, 'hidden_from_staff_profiles', integer],
      ]
      const before = await storedProject()
      for (const [body, field, message] of bad) {
        const answer = await putProject({ number: 7, ...body })
        expect(answer.status, JSON.stringify(body)).to.equal(400)
        expect(answer.headers['content-type']).to.equal('application/problem+json')
        expect(answer.body, JSON.stringify(answer.body))
          .to.have.nested.property(`errors.${field}`)
          .that.includes(message)
      }
      expect((await putProject([])).status).to.equal(400)
      expect(await storedProject()).to.deep.equal(before)
    })

    it('keeps concurrent changes of other fields', async () => {
      for (let round = 0; round < 10; round += 1) {
        const answers = await Promise.all([
          putProject({ title: `t${round}` }),
          putProject({ description: `d${round}` }, SUE),
          putProject({ business_area: round % 2 === 0 ? 31 : 32 }),
        ])
        expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200])
        expect(await storedProject()).to.include({
          title: `t${round}`,
          description: `d${round}`,
          business_area_id: round % 2 === 0 ? '31' : '32',
        })
      }
    })
  })

  describe('DELETE /projects/:id', () => {
    const remove = (as?: number, path = 'projects/51') =>
      api.send('DELETE', path, as === undefined ? {} : { as })

    it('deletes all rows that belong to the project, and no others [T53]', async () => {
      const effects = await effectsOf(api.db, async () => {
        const { status, headers, body } = await remove(SUE, 'projects/204')
        expect({ status, body }).to.deep.equal({ status: 204, body: '' })
        expect(headers['cache-control']).to.equal('no-store')
      })
      expect(effects).to.deep.equal([
        '- adminoptions_admintask 261',
        '- communications_comment 251',
        '- communications_reaction 253',
        '- documents_conceptplan 231',
        '- documents_endorsement 237',
        '- documents_progressreport 234',
        '- documents_projectclosure 236',
        '- documents_projectdocument 221',
        '- documents_projectdocument 222',
        '- documents_projectdocument 223',
        '- documents_projectdocument 224',
        '- documents_projectdocument 225',
        '- documents_projectplan 232',
        '- documents_studentreport 235',
        '- medias_aecendorsementpdf 245',
        '- medias_projectdocumentpdf 241',
        '- medias_projectphoto 216',
        '- medias_projectplanmethodologyphoto 243',
        '- projects_externalprojectdetails 214',
        '- projects_project 204',
        '- projects_projectarea 208',
        '- projects_projectdetail 210',
        '- projects_projectmember 206',
        '- projects_studentprojectdetails 212',
      ])
    })

    it('deletes a document text whose document belongs to another project', async () => {
      await api.db
        .insertInto('documents_conceptplan')
        .values([
          { id: 91, document_id: 221, project_id: 205 },
          { id: 92, document_id: 226, project_id: 204 },
        ])
        .execute()
      const effects = await effectsOf(api.db, () => remove(SUE, 'projects/204'))
      expect(effects).to.include.members([
        '- documents_conceptplan 91',
        '- documents_conceptplan 92',
      ])
    })

    it('accepts a leader or a superuser [T53]', async () => {
      for (const [as, status] of [
        [undefined, 401],
        [OLD, 401],
        [MEL, 403],
        [OUT, 403],
      ] as const) {
        expect((await remove(as)).status).to.equal(status)
      }
      expect(await storedProject()).to.include({ id: '51' })
      expect((await remove(SUE)).status).to.equal(204)
      expect((await remove(SUE)).body).to.include({ detail: 'Project 51 not found' })
      for (const id of [TOO_BIG, 'x', '0']) {
        expect((await remove(SUE, `projects/${id}`)).status, id).to.equal(404)
      }
    })

    it('answers 404 to a change or deletion that waited for it', async () => {
      const lock = sql`select from projects_project where id = 51 for update`
      const statuses = (edits: readonly { readonly status: number }[]) =>
        edits.map(({ status }) => status)
      const edits = await interleave(api.db, lock, [() => remove(LEA), () => putProject({}, SUE)])
      expect(statuses(edits)).to.deep.equal([204, 404])
      await api.reset()
      const twice = await interleave(api.db, lock, [() => remove(LEA), () => remove(SUE)])
      expect(statuses(twice)).to.deep.equal([204, 404])
    })

    it('answers 409 while an unknown table refers to the project', async () => {
      await sql`
        create table projects_unknown (
          project_id bigint references projects_project deferrable initially deferred
        )`.execute(api.db)
      try {
        await sql`insert into projects_unknown values (51)`.execute(api.db)
        const effects = await effectsOf(api.db, async () => {
          expect((await remove(LEA)).status).to.equal(409)
        })
        expect(effects).to.deep.equal([])
      } finally {
        await sql`drop table projects_unknown`.execute(api.db)
      }
    })
  })

  describe('POST /projects/:id/suspend', () => {
    const suspend = (as?: number, id = '51') =>
      api.send('POST', `projects/${id}/suspend`, as === undefined ? {} : { as })

    it('accepts a leader or a superuser, and changes only the status [T63, 200 instead of 202]', async () => {
      for (const as of [LEA, SUE]) {
        await api.reset()
        const effects = await effectsOf(api.db, async () => {
          const { status, body } = await suspend(as)
          expect(status).to.equal(200)
          expect(tinyProject.parse(body)).to.include({ id: 51, status: 'suspended' })
        })
        expect(effects).to.deep.equal(['~ projects_project 51: status'])
      }
      expect((await storedProject()).updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
    })

    it('rejects other users with 403', async () => {
      for (const [as, status] of [
        [undefined, 401],
        [OLD, 401],
        [MEL, 403],
        [OUT, 403],
      ] as const) {
        expect((await suspend(as)).status).to.equal(status)
      }
      expect((await suspend(OUT, '999')).body).to.include({ detail: 'Project 999 not found' })
      expect((await suspend(SUE, TOO_BIG)).status).to.equal(404)
      expect((await api.send('GET', 'projects/51/suspend', { as: LEA })).status).to.equal(405)
      expect(await storedProject()).to.include({ status: 'active' })
    })
  })

  describe('POST /projects/:id/toggle_user_profile_visibility', () => {
    const toggle = (as?: number, id = '51') =>
      api.send(
        'POST',
        `projects/${id}/toggle_user_profile_visibility`,
        as === undefined ? {} : { as },
      )

    it('hides the project from the page of the member, and shows it again [T65]', async () => {
      for (const [as, hidden] of [
        [MEL, [2]],
        [LEA, [2, 1]],
        [MEL, [1]],
        [LEA, []],
      ] as const) {
        const { status, body } = await toggle(as)
        expect(status).to.equal(200)
        expect(tinyProject.parse(body).id).to.equal(51)
        expect((await storedProject()).hidden_from_staff_profiles).to.deep.equal(hidden)
      }
    })

    it('rejects users that are not members with 403', async () => {
      for (const [as, status] of [
        [undefined, 401],
        [OLD, 401],
        [OUT, 403],
        [SUE, 403],
      ] as const) {
        expect((await toggle(as)).status).to.equal(status)
      }
      expect((await toggle(OUT, '999')).status).to.equal(404)
      expect((await toggle(LEA, '52')).status).to.equal(403)
      expect((await storedProject()).hidden_from_staff_profiles).to.deep.equal([])
    })

    it('keeps concurrent choices of other members', async () => {
      const lock = sql`select from projects_project where id = 51 for update`
      await interleave(api.db, lock, [() => toggle(LEA), () => toggle(MEL)])
      expect((await storedProject()).hidden_from_staff_profiles).to.deep.equal([1, 2])
    })
  })
})
