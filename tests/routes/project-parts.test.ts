import { expect } from 'chai'
import { sql } from 'kysely'
import { z } from 'zod'
import {
  externalDetails,
  projectAreas,
  projectDetailRow,
  studentDetails,
} from '../../shared/shapes/project-part.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { effectsOf } from '../support/effects.ts'
import { interleave, untilWaiting } from '../support/interleave.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'
const INTEGER = 'A valid integer is required.'
const noSuch = (id: number | string) => `Invalid pk "${id}" - object does not exist.`
const atMost = (characters: number) =>
  `Ensure this field has no more than ${characters} characters.`
const projectLock = sql`select from projects_project where id = 51 for update`

/** Each kind of row: accepted bodies, their answers, and rejected bodies. */
const PARTS = [
  {
    path: 'project_areas',
    table: 'projects_projectarea',
    entity: 'Project area',
    shape: projectAreas,
    stored: 208,
    isSingle: true,
    sent: { areas: [202, 201] },
    shown: {
      project: 51,
      areas: [
        { id: 202, name: 'Pilbara', area_type: 'dbcaregion' },
        { id: 201, name: 'Kimberley', area_type: 'dbcaregion' },
      ],
    },
    byDefault: { areas: [] },
    cleared: [{ areas: null }, { areas: [] }],
    wrong: [
      [{ areas: 201 }, 'areas', 'Expected a list of items.'],
      [{ areas: ['x'] }, 'areas', INTEGER],
      [{ areas: [0] }, 'areas', 'Ensure this value is greater than or equal to 1.'],
      [{ areas: [201, 201] }, 'areas', 'Duplicate areas are not allowed.'],
      [{ areas: [201, 999] }, 'areas', noSuch(999)],
    ],
  },
  {
    path: 'project_details',
    table: 'projects_projectdetail',
    entity: 'Project detail',
    shape: projectDetailRow,
    stored: 210,
    isSingle: false,
    sent: {
      creator: 1,
      modifier: '2',
      owner: 3,
      data_custodian: 4,
      site_custodian: 5,
      service: 203,
      old_output_program_id: 7,
    },
    shown: {
      project: { id: 51, title: 'Orchids' },
      creator: { id: 1, username: 'lea' },
      modifier: { id: 2, username: 'mel' },
      owner: { id: 3, username: 'sue' },
      data_custodian: { id: 4, username: 'out' },
      site_custodian: { id: 5, username: 'old' },
      service: { id: 203, name: 'Wildlife' },
      old_output_program_id: 7,
    },
    byDefault: {
      creator: null,
      modifier: null,
      owner: null,
      data_custodian: null,
      site_custodian: null,
      service: null,
      old_output_program_id: null,
    },
    cleared: [{ creator: null, service: null }],
    wrong: [
      [{ creator: 999 }, 'creator', noSuch(999)],
      [{ modifier: 'x' }, 'modifier', INTEGER],
      [{ owner: 999 }, 'owner', noSuch(999)],
      [{ data_custodian: TOO_BIG }, 'data_custodian', noSuch(TOO_BIG)],
      [{ site_custodian: true }, 'site_custodian', INTEGER],
      [{ service: 999 }, 'service', noSuch(999)],
      [{ old_output_program_id: 'x' }, 'old_output_program_id', INTEGER],
    ],
  },
  {
    path: 'student_project_details',
    table: 'projects_studentprojectdetails',
    entity: 'Student project detail',
    shape: studentDetails,
    stored: 212,
    isSingle: true,
    sent: { level: 'msc', organisation: ' UWA; DBCA ' },
    shown: { project: { id: 51, title: 'Orchids' }, level: 'msc', organisation: 'UWA; DBCA' },
    byDefault: { level: 'phd', organisation: null },
    cleared: [{ level: null, organisation: null }],
    wrong: [
      [{ level: 'school' }, 'level', '"school" is not a valid choice.'],
      [{ organisation: 5 }, 'organisation', 'Not a valid string.'],
    ],
  },
  {
    path: 'external_project_details',
    table: 'projects_externalprojectdetails',
    entity: 'External project detail',
    shape: externalDetails,
    stored: 214,
    isSingle: true,
    sent: { collaboration_with: 'UWA', budget: '5', description: '<p>D</p>', aims: '<p>A</p>' },
    shown: {
      project: { id: 51, title: 'Orchids' },
      collaboration_with: 'UWA',
      budget: '5',
      description: '<p>D</p>',
      aims: '<p>A</p>',
    },
    byDefault: { collaboration_with: null, budget: null, description: null, aims: null },
    cleared: [{ collaboration_with: null, budget: null, description: null, aims: null }],
    wrong: [
      [{ collaboration_with: 'x'.repeat(1501) }, 'collaboration_with', atMost(1500)],
      [{ budget: 'x'.repeat(1001) }, 'budget', atMost(1000)],
      [{ description: '\0' }, 'description', 'Null characters are not allowed.'],
      [{ aims: 'x'.repeat(5001) }, 'aims', atMost(5000)],
    ],
  },
] as const

describeOnBothTables('details and areas of projects over HTTP', (api) => {
  for (const part of PARTS) {
    const { path, table, entity, stored, isSingle } = part
    const shape: z.ZodType<object> = part.shape
    const send = (
      method: string,
      as: number | undefined,
      id: number | string | undefined,
      body?: unknown,
    ) =>
      api.send(method, `projects/${path}${id === undefined ? '' : `/${id}`}`, {
        ...(as && { as }),
        ...(body !== undefined && { body }),
      })
    const add = (body: object, as: number | undefined = LEA) =>
      send('POST', as, undefined, { project: 51, ...body })
    const idOf = (body: unknown) => z.object({ id: z.int() }).parse(body).id
    const wrongBodies = part.wrong.map(([body]) => body)

    describe(path, () => {
      it('are created, read, changed and deleted [T58, T59, T60, 200 instead of 202]', async () => {
        const added = await add(part.sent)
        expect(added.status).to.equal(201)
        expect(added.headers['cache-control']).to.equal('no-store')
        expect(shape.parse(added.body)).to.deep.include(part.shown)
        const id = idOf(added.body)

        const shown = await send('GET', OUT, id)
        expect({ status: shown.status, body: shown.body }).to.deep.equal({
          status: 200,
          body: added.body,
        })
        expect(shown.headers['cache-control']).to.equal('private, no-store')
        const { body: list } = await send('GET', OUT, undefined)
        expect(z.array(shape).parse(list)).to.have.length(3)
        expect(list).to.deep.include(added.body)

        for (const cleared of part.cleared) {
          const { status, body } = await send('PUT', LEA, id, cleared)
          expect(status).to.equal(200)
          const expected = Object.entries(cleared).map(([field, value]) => [
            field,
            field === 'areas' ? [] : value,
          ])
          expect(shape.parse(body)).to.deep.include(Object.fromEntries(expected))
        }
        expect((await send('PUT', SUE, id, part.sent)).body).to.deep.include(part.shown)

        const effects = await effectsOf(api.db, async () => {
          const { status, body } = await send('DELETE', LEA, id)
          expect({ status, body }).to.deep.equal({ status: 204, body: '' })
        })
        expect(effects).to.deep.equal([`- ${table} ${id}`])
        expect((await send('GET', LEA, id)).body).to.include({
          detail: `${entity} ${id} not found`,
        })
      })

      it('have defaults for missing fields, also if the table has none', async () => {
        const { status, body } = await add({})
        expect(status).to.equal(201)
        expect(body).to.deep.include(part.byDefault)
      })

      it('are changed only in the fields of the body, and never move to another project', async () => {
        const { body: before } = await send('GET', SUE, stored)
        for (const body of [{}, { project: 51, id: 9, created_at: 'x' }]) {
          const effects = await effectsOf(api.db, async () => {
            expect((await send('PUT', SUE, stored, body)).status).to.equal(200)
          })
          expect(effects).to.deep.equal([])
        }
        expect((await send('GET', SUE, stored)).body).to.deep.equal(before)
      })

      it('are written by a leader or a superuser only', async () => {
        const id = idOf((await add(part.sent)).body)
        for (const [as, adds, changes] of [
          [0, 401, 401],
          [OLD, 401, 401],
          [MEL, 403, 404],
          [OUT, 403, 404],
        ] as const) {
          const effects = await effectsOf(api.db, async () => {
            // The status does not depend on the existence of the project or on a valid body.
            for (const body of [part.sent, { project: 999 }, { project: 'x' }, ...wrongBodies]) {
              expect((await add(body, as)).status).to.equal(adds)
            }
            for (const body of [part.sent, ...wrongBodies]) {
              expect((await send('PUT', as, id, body)).status).to.equal(changes)
            }
            expect((await send('DELETE', as, id)).status).to.equal(changes)
          })
          expect(effects).to.deep.equal([])
        }
        for (const as of [undefined, OLD]) {
          expect((await send('GET', as, undefined)).status).to.equal(401)
          expect((await send('GET', as, id)).status).to.equal(401)
        }
        // Lea does not lead project 204.
        for (const project of [204, 999]) {
          expect((await add({ project }, LEA)).status).to.equal(403)
        }
        expect((await send('PUT', LEA, stored, {})).status).to.equal(404)
        expect((await send('DELETE', LEA, stored)).status).to.equal(404)
        expect((await send('DELETE', SUE, stored)).status).to.equal(204)
      })

      it('are answered with 404 if the row does not exist', async () => {
        for (const method of ['GET', 'PUT', 'DELETE']) {
          for (const id of ['999', TOO_BIG]) {
            const { status, body } = await send(method, OUT, id, {})
            expect(status).to.equal(404)
            expect(body).to.include({ detail: `${entity} ${id} not found` })
          }
          expect((await send(method, SUE, 'x', {})).status).to.equal(404)
        }
        expect((await send('PATCH', SUE, stored, {})).status).to.equal(405)
        expect((await send('DELETE', SUE, undefined)).status).to.equal(405)
      })

      it('are rejected with 400 and a message for each invalid field', async () => {
        const effects = await effectsOf(api.db, async () => {
          for (const [body, field, message] of part.wrong) {
            for (const answer of [await add(body), await send('PUT', SUE, stored, body)]) {
              expect(answer.status, JSON.stringify(body)).to.equal(400)
              expect(answer.body).to.have.property(field).that.includes(message)
            }
          }
          for (const [project, message] of [
            [undefined, 'This field is required.'],
            [null, 'This field may not be null.'],
            [999, noSuch(999)],
          ] as const) {
            const { status, body } = await add({ project }, SUE)
            expect(status).to.equal(400)
            expect(body).to.have.property('project').that.includes(message)
          }
        })
        expect(effects).to.deep.equal([])
      })

      it(`can exist ${isSingle ? 'once' : 'any number of times'} in a project`, async () => {
        const answers = await interleave(api.db, projectLock, [
          () => add(part.sent),
          () => add(part.sent, SUE),
        ])
        const statuses = answers.map(({ status }) => status)
        expect(statuses).to.deep.equal(isSingle ? [201, 409] : [201, 201])
        if (isSingle) expect(answers[1]?.body).to.have.property('project')
      })

      it('keep concurrent changes of different fields', async () => {
        const id = idOf((await add({})).body)
        const fields = Object.entries(part.sent).slice(0, 4)
        const answers = await interleave(
          api.db,
          projectLock,
          fields.map(
            ([field, value], index) =>
              () =>
                send('PUT', index % 2 === 0 ? LEA : SUE, id, { [field]: value }),
          ),
        )
        const expected = Object.entries(part.shown).filter(([name]) =>
          fields.some(([field]) => field === name),
        )
        expect(answers.at(-1)?.body).to.deep.include(Object.fromEntries(expected))
      })

      it('are answered with 404 if they are deleted while a change waits', async () => {
        const id = idOf((await add({})).body)
        const answers = await interleave(api.db, projectLock, [
          () => send('DELETE', LEA, id),
          () => send('PUT', SUE, id, part.sent),
          () => send('DELETE', LEA, id),
        ])
        expect(answers.map(({ status }) => status)).to.deep.equal([204, 404, 404])
      })
    })
  }

  it('are found by project id [T58, T60]', async () => {
    const areas = await api.send('GET', 'projects/204/areas', { as: OUT })
    expect(projectAreas.parse(areas.body)).to.include({ id: 208, project: 204 })
    await api.db
      .insertInto('projects_projectdetail')
      .values({ id: 300, project_id: 204, owner_id: 4, created_at: 'now', updated_at: 'now' })
      .execute()
    const details = await api.send('GET', 'projects/204/details', { as: OUT })
    expect(projectDetailRow.parse(details.body).owner).to.deep.equal({ id: 4, username: 'out' })
    for (const part of ['areas', 'details']) {
      const missing = await api.send('GET', `projects/51/${part}`, { as: OUT })
      expect(missing.status).to.equal(404)
      expect((await api.send('GET', `projects/204/${part}`)).status).to.equal(401)
    }
  })

  it('lock the users that they refer to before their project', async () => {
    const body = { project: 51, creator: OUT }
    const { adding } = await api.db.transaction().execute(async (other) => {
      await sql`select from users_user where id = ${OUT} for update`.execute(other)
      const adding = api.send('POST', 'projects/project_details', { as: LEA, body })
      await untilWaiting(api.db, 1)
      await sql`select from projects_project where id = 51 for update nowait`.execute(other)
      return { adding }
    })
    expect((await adding).status).to.equal(201)
  })
})
