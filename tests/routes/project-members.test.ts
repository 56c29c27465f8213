import { expect } from 'chai'
import { sql } from 'kysely'
import { tinyMember } from '../../shared/shapes/member.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { effectsOf } from '../support/effects.ts'
import { interleave } from '../support/interleave.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const MEMBER = 'projects/project_members/51/2'
const TOO_BIG = '9223372036854775808'

const projectLock = sql`select from projects_project where id = 51 for update`

describeOnBothTables('project members over HTTP', (api) => {
  const putMember = (body: unknown, as = LEA, path = MEMBER) => api.send('PUT', path, { as, body })
  const storedMember = () =>
    api.db
      .selectFrom('projects_projectmember')
      .selectAll()
      .where('id', '=', '54')
      .executeTakeFirst()

  describe('PUT and DELETE /projects/project_members/:project/:user', () => {
    it('accepts changes by a leader or a superuser [T55, 200 instead of 202]', async () => {
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

    it('answers 404 to other users, as for a missing member', async () => {
      for (const [as, status] of [
        [MEL, 404],
        [OUT, 404],
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

    it('answers 404 for a user that is not a member', async () => {
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

    it('ignores nulls, and the user and the project in the body [T55]', async () => {
      const before = await storedMember()
      const sent = { role: null, position: null, time_allocation: null, user: 4, project: 52 }
      expect((await putMember(sent)).status).to.equal(200)
      expect(await storedMember()).to.deep.equal(before)
    })

    it('rejects invalid fields with 400 and a message each', async () => {
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

    it('keeps concurrent changes of other fields', async () => {
      await Promise.all([putMember({ role: 'group' }), putMember({ position: 9 }, SUE)])
      expect(await storedMember()).to.include({ role: 'group', position: 9 })
    })

    it('removes a member from the project [T55]', async () => {
      const { status, body } = await api.send('DELETE', MEMBER, { as: LEA })
      expect({ status, body }).to.deep.equal({ status: 204, body: '' })
      expect(await storedMember()).to.equal(undefined)
      expect((await api.send('DELETE', MEMBER, { as: LEA })).status).to.equal(404)
    })

    it('lets only one of two leaders remove the other', async () => {
      await putMember({ is_leader: true })
      const answers = await interleave(api.db, projectLock, [
        () => api.send('DELETE', 'projects/project_members/51/2', { as: LEA }),
        () => api.send('DELETE', 'projects/project_members/51/1', { as: MEL }),
      ])
      expect(answers.map(({ status }) => status)).to.deep.equal([204, 404])
    })
  })

  describe('POST /projects/project_members', () => {
    const add = (body: unknown, as: number | undefined = LEA) =>
      api.send('POST', 'projects/project_members', { body, ...(as && { as }) })
    const wanted = { project: 51, user: 4, role: 'technical' }
    const storedNew = () =>
      api.db
        .selectFrom('projects_projectmember')
        .selectAll()
        .where('project_id', '=', '51')
        .where('user_id', '=', '4')
        .executeTakeFirst()

    it('accepts a leader or a superuser [T55]', async () => {
      for (const as of [LEA, SUE]) {
        await api.reset()
        const sent = {
          role: 'student',
          is_leader: true,
          time_allocation: 0.5,
          position: 4,
          short_code: ' S4 ',
          comments: 'New',
        }
        const effects = await effectsOf(api.db, async () => {
          const { status, headers, body } = await add({ project: '51', user: '04', ...sent }, as)
          expect(status).to.equal(201)
          expect(headers['cache-control']).to.equal('no-store')
          const member = tinyMember.parse(body)
          expect(member).to.include({ ...sent, short_code: 'S4' })
          expect([member.project.id, member.user.id]).to.deep.equal([51, 4])
        })
        expect(effects).to.deep.equal(['+ projects_projectmember'])
      }
    })

    it('sets defaults for missing fields, also if the table has none', async () => {
      expect((await add(wanted)).status).to.equal(201)
      const { id, created_at, updated_at, ...stored } = (await storedNew()) ?? {}
      expect(Number(id)).to.be.above(0)
      expect(stored).to.deep.equal({
        project_id: '51',
        user_id: '4',
        role: 'technical',
        is_leader: false,
        time_allocation: 0,
        position: 100,
        short_code: null,
        comments: null,
      })
      expect(created_at?.getTime()).to.be.closeTo(Date.now(), 60_000)
      expect(updated_at).to.deep.equal(created_at)
      await api.reset()
      const nulls = { time_allocation: null, position: null, short_code: null, comments: null }
      expect((await add({ ...wanted, ...nulls })).body).to.include(nulls)
    })

    it('rejects other users with 403', async () => {
      for (const [as, status] of [
        [0, 401],
        [OLD, 401],
        [MEL, 403],
        [OUT, 403],
      ] as const) {
        // The status does not depend on the existence of the user or project, or on a valid body.
        for (const body of [
          wanted,
          { ...wanted, user: 999 },
          { ...wanted, project: 999 },
          { ...wanted, role: 5 },
          { project: 51 },
          {},
        ]) {
          expect((await add(body, as)).status).to.equal(status)
        }
      }
      for (const project of [52, 999]) {
        expect((await add({ ...wanted, project }, LEA)).status).to.equal(403)
      }
      const headers = { 'X-CSRFToken': 'another' }
      const sent = { as: LEA, body: wanted, headers }
      expect((await api.send('POST', 'projects/project_members', sent)).status).to.equal(403)
      expect(await storedNew()).to.equal(undefined)
    })

    it('rejects invalid fields with 400 and a message each', async () => {
      const required = 'This field is required.'
      const nothing = 'This field may not be null.'
      const integer = 'A valid integer is required.'
      for (const [body, field, message] of [
        [{ project: undefined }, 'project', required],
        [{ project: null }, 'project', nothing],
        [{ project: 'x' }, 'project', integer],
        [{ project: 999 }, 'project', 'Invalid pk "999" - object does not exist.'],
        [{ project: TOO_BIG }, 'project', `Invalid pk "${TOO_BIG}" - object does not exist.`],
        [{ user: undefined }, 'user', required],
        [{ user: null }, 'user', nothing],
        [{ user: -1 }, 'user', integer],
        [{ user: 999 }, 'user', 'Invalid pk "999" - object does not exist.'],
        [{ role: undefined }, 'role', required],
        [{ role: null }, 'role', nothing],
        [{ role: '' }, 'role', '"" is not a valid choice.'],
        [{ is_leader: null }, 'is_leader', nothing],
        [{ is_leader: 'x' }, 'is_leader', 'Must be a valid boolean.'],
        [{ time_allocation: 'x' }, 'time_allocation', 'A valid number is required.'],
        [{ position: 1.5 }, 'position', integer],
        [
          { short_code: 'x'.repeat(501) },
          'short_code',
          'Ensure this field has no more than 500 characters.',
        ],
        [{ comments: 5 }, 'comments', 'Not a valid string.'],
      ] as const) {
        const answer = await add({ ...wanted, ...body }, SUE)
        expect(answer.status, JSON.stringify(body)).to.equal(400)
        expect(answer.body).to.have.property(field).that.includes(message)
      }
      expect(await storedNew()).to.equal(undefined)
    })

    it('answers 409 to a duplicate member, also to a concurrent one [T55]', async () => {
      const duplicate = 'The fields project, user must make a unique set.'
      const answers = await interleave(api.db, projectLock, [
        () => add(wanted),
        () => add({ ...wanted, role: 'group' }, SUE),
      ])
      expect(answers.map(({ status }) => status)).to.deep.equal([201, 409])
      expect(answers[1]?.body).to.deep.include({ detail: duplicate, non_field_errors: [duplicate] })
      expect(await storedNew()).to.include({ role: 'technical' })
      expect((await add({ ...wanted, user: 2 })).status).to.equal(409)
    })

    it('answers 403 to a leader who is removed while the write waits', async () => {
      const answers = await interleave(api.db, projectLock, [
        () => api.send('DELETE', 'projects/project_members/51/1', { as: SUE }),
        () => add(wanted),
      ])
      expect(answers.map(({ status }) => status)).to.deep.equal([204, 403])
    })
  })

  describe('POST /projects/promote', () => {
    const promote = (body: unknown, as: number | undefined = LEA) =>
      api.send('POST', 'projects/promote', { body, ...(as && { as }) })
    const wanted = { project_id: 51, user_id: 2 }

    it('makes a member the only leader [T57, 200 instead of 202]', async () => {
      for (const as of [LEA, SUE]) {
        await api.reset()
        const effects = await effectsOf(api.db, async () => {
          const { status, body } = await promote(wanted, as)
          expect(status).to.equal(200)
          const member = tinyMember.parse(body)
          expect([member.user.id, member.is_leader]).to.deep.equal([2, true])
        })
        expect(effects).to.deep.equal([
          '~ projects_projectmember 53: is_leader',
          '~ projects_projectmember 54: is_leader',
          '~ projects_projectmember 55: is_leader',
        ])
      }
    })

    it('answers 404 to other users, as for a missing member, and 403 without a valid member', async () => {
      for (const [as, withMember, withoutMember] of [
        [0, 401, 401],
        [OLD, 401, 401],
        [MEL, 404, 403],
        [OUT, 404, 403],
      ] as const) {
        for (const body of [wanted, { project_id: 51, user_id: 999 }, { ...wanted, user_id: 1 }]) {
          expect((await promote(body, as)).status).to.equal(withMember)
        }
        for (const body of [{}, { project_id: 51 }, { ...wanted, user_id: 'x' }]) {
          expect((await promote(body, as)).status).to.equal(withoutMember)
        }
      }
      expect(await storedMember()).to.include({ is_leader: false })
    })

    it('answers 404 for a user that is not a member, and 400 without valid ids', async () => {
      for (const body of [
        { project_id: 51, user_id: 4 },
        { project_id: 999, user_id: 2 },
      ]) {
        const { status, body: problem } = await promote(body)
        expect(status).to.equal(404)
        expect(problem).to.include({
          detail: `Member not found for project ${body.project_id} and user ${body.user_id}`,
        })
      }
      for (const [body, field] of [
        [{ project_id: 51 }, 'user_id'],
        [{ user_id: 2 }, 'project_id'],
        [{ project_id: null, user_id: 2 }, 'project_id'],
        [{ project_id: 51, user_id: 'x' }, 'user_id'],
      ] as const) {
        const answer = await promote(body)
        expect(answer.status).to.equal(400)
        expect(answer.body).to.have.property(field)
      }
    })

    it('leaves one leader if two leaders promote each other', async () => {
      await putMember({ is_leader: true })
      const answers = await interleave(api.db, projectLock, [
        () => promote({ project_id: 51, user_id: 2 }, LEA),
        () => promote({ project_id: 51, user_id: 1 }, MEL),
      ])
      expect(answers.map(({ status }) => status)).to.deep.equal([200, 200])
      const leaders = await api.db
        .selectFrom('projects_projectmember')
        .select('user_id')
        .where('project_id', '=', '51')
        .where('is_leader', '=', true)
        .execute()
      expect(leaders).to.deep.equal([{ user_id: '1' }])
    })
  })
})
