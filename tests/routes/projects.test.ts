import { expect } from 'chai'
import { z } from 'zod'
import { tinyMember } from '../../shared/shapes/member.ts'
import { project } from '../../shared/shapes/project.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const MEMBER = 'projects/project_members/51/2'
const TOO_BIG = '9223372036854775808'

for (const madeByDjango of [false, true]) {
  describe(`projects over HTTP, tables made by ${madeByDjango ? 'Django' : 'us'}`, () => {
    let api: TestApi

    before(async () => {
      api = await startTestApi({ madeByDjango })
    })
    after(() => api[Symbol.asyncDispose]())
    beforeEach(() => api.reset())

    const putProject = (body: unknown, as = LEA) => api.send('PUT', 'projects/51', { as, body })
    const storedProject = () =>
      api.db
        .selectFrom('projects_project')
        .selectAll()
        .where('id', '=', '51')
        .executeTakeFirstOrThrow()
    const putMember = (body: unknown, as = LEA, path = MEMBER) =>
      api.send('PUT', path, { as, body })
    const storedMember = () =>
      api.db
        .selectFrom('projects_projectmember')
        .selectAll()
        .where('id', '=', '54')
        .executeTakeFirst()

    describe('a user’s own', () => {
      it('are listed for them', async () => {
        for (const [as, ids] of [
          [LEA, [51]],
          [MEL, [51, 52]],
          [OUT, []],
        ] as const) {
          const { status, headers, body } = await api.send('GET', 'projects/mine', { as })
          expect(status).to.equal(200)
          expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=off')
          const found = z
            .array(tinyProject)
            .parse(body)
            .map(({ id }) => id)
          expect(found).to.have.members(ids)
        }
      })

      it('need a session', async () => {
        for (const as of [undefined, OLD]) {
          const { status } = await api.send('GET', 'projects/mine', as ? { as } : {})
          expect(status).to.equal(401)
        }
      })

      it('answer HEAD, and nothing else', async () => {
        expect(await api.send('HEAD', 'projects/mine', { as: LEA })).to.include({
          status: 200,
          body: '',
        })
        expect((await api.send('PUT', 'projects/mine', { as: LEA, body: {} })).status).to.equal(405)
        expect((await api.send('GET', 'projects/mine/', { as: LEA })).status).to.equal(404)
      })
    })

    describe('a change of a project', () => {
      it('is a leader’s or a superuser’s', async () => {
        for (const as of [LEA, SUE]) {
          const { status, headers, body } = await putProject({ title: ` By ${as} ` }, as)
          expect(status).to.equal(200)
          expect(headers['cache-control']).to.equal('no-store')
          expect(project.parse(body).title).to.equal(`By ${as}`)
        }
        expect((await storedProject()).updated_at.getTime()).to.be.closeTo(Date.now(), 60_000)
      })

      it('is nobody else’s, whatever it says', async () => {
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

      it('needs the CSRF token', async () => {
        const headers = { 'X-CSRFToken': '' }
        const { status } = await api.send('PUT', 'projects/51', { as: LEA, body: {}, headers })
        expect(status).to.equal(403)
      })

      it('is not possible where nothing is', async () => {
        const { status, body } = await api.send('PUT', 'projects/999', { as: OUT, body: {} })
        expect(status).to.equal(404)
        expect(body).to.include({ detail: 'Project 999 not found' })
        for (const id of [TOO_BIG, 'x', '-1', '51/']) {
          const answer = await api.send('PUT', `projects/${id}`, { as: SUE, body: {} })
          expect(answer.status, id).to.equal(404)
        }
      })

      it('writes every column that it may', async () => {
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
          hidden_from_staff_profiles: [1, 2],
        }
        const { status, body } = await putProject({ ...sent, business_area: 32 })
        expect(status).to.equal(200)
        expect(body).to.deep.include(sent)
        expect(body).to.have.nested.property('business_area.id', 32)
        const again = await putProject({ business_area: '0031', hidden_from_staff_profiles: [] })
        expect(again.body).to.have.nested.property('business_area.id', 31)
        expect(again.body).to.have.property('hidden_from_staff_profiles').that.deep.equals([])
      })

      it('ignores nulls and what cannot be written', async () => {
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

      it('is refused with a message for every wrong field, and then not done at all', async () => {
        const integer = 'A valid integer is required.'
        const date = 'Date has wrong format. Use one of these formats instead: YYYY-MM-DD.'
        const bad: readonly (readonly [object, string, string])[] = [
          [{ kind: 'x' }, 'kind', '"x" is not a valid choice.'],
          [{ kind: '' }, 'kind', '"" is not a valid choice.'],
          [{ status: 5 }, 'status', '"5" is not a valid choice.'],
          [{ title: ' ' }, 'title', 'This field may not be blank.'],
          [
            { title: 'x'.repeat(501) },
            'title',
            'Ensure this field has no more than 500 characters.',
          ],
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
          [{ hidden_from_staff_profiles: [null] }, 'hidden_from_staff_profiles', integer],
        ]
        const before = await storedProject()
        for (const [body, field, message] of bad) {
          const answer = await putProject({ number: 7, ...body })
          expect(answer.status, JSON.stringify(body)).to.equal(400)
          expect(answer.headers['content-type']).to.equal('application/problem+json')
          expect(answer.body, JSON.stringify(answer.body))
            .to.have.property(field)
            .that.includes(message)
        }
        expect((await putProject([])).status).to.equal(400)
        expect(await storedProject()).to.deep.equal(before)
      })

      it('keeps what another writes at the same time', async () => {
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

    describe('a change of a member', () => {
      it('is a leader’s or a superuser’s', async () => {
        for (const as of [LEA, SUE]) {
          const sent = {
            role: 'technical',
            is_leader: false,
            time_allocation: 0.25,
            position: -as,
            short_code: 'S2',
            comments: `By ${as}`,
          }
          const { status, body } = await putMember(sent, as)
          expect(status).to.equal(200)
          const member = tinyMember.parse(body)
          expect(member).to.include(sent)
          expect(member.user.id).to.equal(2)
          expect(member.project.id).to.equal(51)
        }
      })

      it('is nobody else’s', async () => {
        for (const [as, status] of [
          [MEL, 403],
          [OUT, 403],
          [OLD, 401],
        ] as const) {
          expect((await putMember({ role: 'group' }, as)).status).to.equal(status)
          expect((await putMember({ role: 5 }, as)).status).to.equal(status)
          expect((await api.send('DELETE', MEMBER, { as })).status).to.equal(status)
        }
        expect((await api.send('PUT', MEMBER, { body: {} })).status).to.equal(401)
        expect((await api.send('DELETE', MEMBER)).status).to.equal(401)
        const headers = { 'X-CSRFToken': 'another' }
        expect((await api.send('DELETE', MEMBER, { as: LEA, headers })).status).to.equal(403)
      })

      it('is not possible where nobody is', async () => {
        for (const [project, user] of [
          ['51', '4'],
          ['51', '999'],
          ['999', '1'],
        ] as const) {
          for (const method of ['PUT', 'DELETE']) {
            const path = `projects/project_members/${project}/${user}`
            const { status, body } = await api.send(method, path, { as: LEA, body: {} })
            expect(status).to.equal(404)
            expect(body).to.include({
              detail: `Member not found for project ${project} and user ${user}`,
            })
          }
        }
        for (const path of [`${TOO_BIG}/1`, `51/${TOO_BIG}`, '51/x', 'x/1', '51', '51/leader/']) {
          const answer = await putMember({}, SUE, `projects/project_members/${path}`)
          expect(answer.status, path).to.equal(404)
        }
      })

      it('ignores nulls, and who it says it is of', async () => {
        const before = await storedMember()
        const sent = { role: null, position: null, time_allocation: null, user: 4, project: 52 }
        expect((await putMember(sent)).status).to.equal(200)
        expect(await storedMember()).to.deep.equal(before)
      })

      it('is refused with a message for every wrong field', async () => {
        const before = await storedMember()
        for (const [body, field, message] of [
          [{ role: 'boss' }, 'role', '"boss" is not a valid choice.'],
          [{ is_leader: 'true' }, 'is_leader', 'Must be a valid boolean.'],
          [{ time_allocation: 'all' }, 'time_allocation', 'A valid number is required.'],
          [{ position: 1.5 }, 'position', 'A valid integer is required.'],
          [
            { position: 2 ** 31 },
            'position',
            'Ensure this value is less than or equal to 2147483647.',
          ],
          [
            { short_code: 'x'.repeat(501) },
            'short_code',
            'Ensure this field has no more than 500 characters.',
          ],
        ] as const) {
          const answer = await putMember({ comments: 'x', ...body })
          expect(answer.status).to.equal(400)
          expect(answer.body).to.have.property(field).that.includes(message)
        }
        expect(await storedMember()).to.deep.equal(before)
      })

      it('keeps what another writes at the same time', async () => {
        await Promise.all([putMember({ role: 'group' }), putMember({ position: 9 }, SUE)])
        expect(await storedMember()).to.include({ role: 'group', position: 9 })
      })

      it('can be to take them off the project', async () => {
        const { status, body } = await api.send('DELETE', MEMBER, { as: LEA })
        expect({ status, body }).to.deep.equal({ status: 204, body: '' })
        expect(await storedMember()).to.equal(undefined)
        expect((await api.send('DELETE', MEMBER, { as: LEA })).status).to.equal(404)
      })

      it('lets only one of two leaders remove the other', async () => {
        for (let round = 0; round < 5; round += 1) {
          await api.reset()
          await putMember({ is_leader: true })
          const answers = await Promise.all([
            api.send('DELETE', 'projects/project_members/51/2', { as: LEA }),
            api.send('DELETE', 'projects/project_members/51/1', { as: MEL }),
          ])
          const statuses = answers.map(({ status }) => status)
          expect(statuses).to.have.members([204, 403])
        }
      })
    })
  })
}
