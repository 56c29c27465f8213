import { expect } from 'chai'
import { sql } from 'kysely'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { effectsOf } from '../support/effects.ts'
import { interleave } from '../support/interleave.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const DELETION = 262
const MERGE = 271
const CARETAKER = 272
const deletion = { action: 'deleteproject', project: 51, reason: 'Double' }
const merge = { action: 'mergeuser', primary_user: 1, secondary_users: [2, 4] }
const caretaker = { action: 'setcaretaker', primary_user: 1, secondary_users: [3] }

describeOnBothTables('admin tasks over HTTP', (api) => {
  const ask = (body: unknown, as: number | undefined = OUT) =>
    api.send('POST', 'adminoptions/tasks', { body, ...(as && { as }) })
  const decide = (id: number, verb: string, as: number | undefined = SUE, body?: unknown) =>
    api.send('POST', `adminoptions/tasks/${id}/${verb}`, {
      ...(as && { as }),
      ...(body !== undefined && { body }),
    })
  const statusesOf = (answers: readonly { readonly status: number }[]) =>
    answers.map(({ status }) => status)
  const stored = (id: number) =>
    api.db
      .selectFrom('adminoptions_admintask')
      .selectAll()
      .where('id', '=', String(id))
      .executeTakeFirstOrThrow()
  const isDeletionRequested = async (id: number) => {
    const project = await api.db
      .selectFrom('projects_project')
      .select('deletion_requested')
      .where('id', '=', String(id))
      .executeTakeFirstOrThrow()
    return project.deletion_requested
  }

  beforeEach(() =>
    sql`
      insert into adminoptions_admintask
        (id, created_at, updated_at, action, status, requester_id, primary_user_id, secondary_users,
         reason, end_date)
      values
        (271, '2020-01-01', '2020-01-01', 'mergeuser', 'pending', 4, 1, '[2]', 'Twice', null),
        (272, '2020-01-01', '2020-01-01', 'setcaretaker', 'pending', 1, 2, '[4]', 'Leave',
         '2099-01-01')`.execute(api.db),
  )

  describe('POST /adminoptions/tasks', () => {
    it('marks a project whose deletion is requested [T81]', async () => {
      const effects = await effectsOf(api.db, async () => {
        const { status, headers, body } = await ask({ ...deletion, notes: ' Soon ' }, MEL)
        expect(status).to.equal(201)
        expect(headers['cache-control']).to.equal('no-store')
        const task = adminTask.parse(body)
        expect(task).to.deep.include({
          action: 'deleteproject',
          status: 'pending',
          project: { id: 51, title: 'Orchids' },
          primary_user: null,
          secondary_users: [],
          reason: 'Double',
          notes: 'Soon',
          end_date: null,
        })
        expect(task.requester.id).to.equal(MEL)
      })
      expect(effects).to.deep.equal([
        '+ adminoptions_admintask',
        '~ projects_project 51: deletion_requested',
      ])
    })

    it('accepts the deletion of a project only from its members and superusers', async () => {
      for (const as of [LEA, MEL, SUE]) {
        await api.reset()
        expect((await ask(deletion, as)).status).to.equal(201)
      }
      await api.reset()
      const effects = await effectsOf(api.db, async () => {
        // The status does not depend on the existence of the project or the validity of the body.
        for (const body of [
          deletion,
          { ...deletion, project: 999 },
          { ...deletion, reason: 5 },
          { action: 'deleteproject', project: 51 },
        ]) {
          expect((await ask(body, OUT)).status).to.equal(403)
        }
        expect((await ask({ ...deletion, project: 52 }, LEA)).status).to.equal(403)
      })
      expect(effects).to.deep.equal([])
    })

    it('answers 403 to a member who is removed while the request waits', async () => {
      const lock = sql`select from projects_project where id = 51 for update`
      const answers = await interleave(api.db, lock, [
        () => api.send('DELETE', 'projects/project_members/51/2', { as: LEA }),
        () => ask(deletion, MEL),
      ])
      expect(statusesOf(answers)).to.deep.equal([204, 403])
    })

    it('accepts the users of a merge or a caretaker under the field names of all clients', async () => {
      const merged = await ask({
        action: 'mergeuser',
        primaryUserId: '1',
        secondaryUserIds: [4, 2, 4],
      })
      expect(merged.status).to.equal(201)
      const task = adminTask.parse(merged.body)
      expect(task.primary_user?.id).to.equal(1)
      expect(task.secondary_users.map(({ id }) => id)).to.have.members([2, 4])
      const set = await ask({ ...caretaker, end_date: '2099-12-31' })
      expect(adminTask.parse(set.body)).to.include({ end_date: '2099-12-31T23:59:59.999000+08:00' })
    })

    it('requires a session', async () => {
      for (const as of [0, OLD]) expect((await ask(deletion, as)).status).to.equal(401)
    })

    it('rejects invalid fields with 400 and a message each, and writes nothing', async () => {
      const required = 'This field is required.'
      const noSuch = 'Invalid pk "999" - object does not exist.'
      const effects = await effectsOf(api.db, async () => {
        for (const [body, field, message] of [
          [{}, 'action', 'This action cannot be requested.'],
          [{ ...deletion, action: 'x' }, 'action', 'This action cannot be requested.'],
          [{ ...deletion, project: undefined }, 'project', required],
          [{ ...deletion, project: null }, 'project', 'This field may not be null.'],
          [{ ...deletion, project: 999 }, 'project', noSuch],
          [{ ...deletion, reason: undefined }, 'reason', required],
          [{ ...deletion, reason: ' ' }, 'reason', 'This field may not be blank.'],
          [{ ...deletion, notes: 5 }, 'notes', 'Not a valid string.'],
          [{ ...merge, primary_user: undefined }, 'primary_user', required],
          [{ ...merge, primary_user: 999 }, 'primary_user', noSuch],
          [{ ...merge, secondary_users: undefined }, 'secondary_users', required],
          [{ ...merge, secondary_users: [] }, 'secondary_users', 'This list may not be empty.'],
          [{ ...merge, secondary_users: [2, 999] }, 'secondary_users', noSuch],
          [
            { ...merge, secondary_users: [2, 1] },
            'non_field_errors',
            'Primary user cannot also be a secondary user.',
          ],
          [
            { ...caretaker, secondary_users: [2, 4] },
            'secondary_users',
            'There may be one caretaker only.',
          ],
          [
            { ...caretaker, secondary_users: [1] },
            'non_field_errors',
            'Cannot caretake for yourself',
          ],
          [{ ...caretaker, end_date: '2020-01-01' }, 'end_date', 'End date cannot be in the past'],
          [
            { ...caretaker, end_date: 'soon' },
            'end_date',
            'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].',
          ],
          [{ ...caretaker, start_date: '0000-01-01' }, 'start_date', 'There is no year 0.'],
        ] as const) {
          const answer = await ask(body, SUE)
          expect(answer.status, JSON.stringify(body)).to.equal(400)
          expect(answer.body, JSON.stringify(answer.body))
            .to.have.property(field)
            .that.includes(message)
        }
      })
      expect(effects).to.deep.equal([])
    })

    it('answers 409 to a duplicate request, also to a concurrent one [T81]', async () => {
      const project = sql`select from projects_project where id = 51 for update`
      const user = sql`select from users_user where id = 1 for update`
      for (const [lock, body, detail] of [
        [project, deletion, 'Project already has a pending deletion request'],
        [user, merge, 'Users already have a pending merge user request'],
        [user, caretaker, 'User already has a pending caretaker request'],
      ] as const) {
        const answers = await interleave(api.db, lock, [() => ask(body, MEL), () => ask(body, LEA)])
        expect(statusesOf(answers)).to.deep.equal([201, 409])
        expect(answers[1]?.body).to.include({ detail })
      }
      expect((await ask({ ...merge, secondary_users: [4, 2] })).status).to.equal(409)
      expect((await ask({ ...merge, secondary_users: [4] })).status).to.equal(201)
      const existing = { ...caretaker, primary_user: 5, secondary_users: [4] }
      expect((await ask(existing)).body).to.include({ detail: 'User already has this caretaker' })
    })
  })

  describe('POST /adminoptions/tasks/:id/approve, reject and cancel', () => {
    it('lets superusers decide, and only the requester cancel [T81, 403 instead of 401]', async () => {
      for (const [id, requester, named] of [
        [DELETION, MEL, [MEL]],
        [MERGE, OUT, [LEA, MEL, OUT]],
        [CARETAKER, LEA, [LEA, MEL, OUT]],
      ] as const) {
        for (const verb of ['approve', 'reject', 'cancel']) {
          for (const as of [LEA, MEL, OUT].filter(
            (user) => verb !== 'cancel' || user !== requester,
          )) {
            // A request does not exist for users that it does not name.
            const wanted = named.some((user) => user === as) ? 403 : 404
            expect((await decide(id, verb, as)).status, `${verb} ${id}`).to.equal(wanted)
          }
          expect((await decide(id, verb, 0)).status).to.equal(401)
          expect((await decide(id, verb, OLD)).status).to.equal(401)
        }
        expect((await decide(id, 'cancel', SUE)).status).to.equal(403)
        const { status, body } = await decide(id, 'cancel', requester)
        expect(status).to.equal(200)
        expect(adminTask.parse(body)).to.include({ id, status: 'cancelled' })
      }
    })

    it('answers 404 for a task that does not exist', async () => {
      for (const verb of ['approve', 'reject', 'cancel', 'respond']) {
        const { status, body } = await decide(999, verb)
        expect(status).to.equal(404)
        expect(body).to.include({ detail: 'Task 999 not found' })
        const path = `adminoptions/tasks/${DELETION}/${verb}`
        expect((await api.send('GET', path, { as: SUE })).status).to.equal(405)
      }
    })

    it('deletes the project of an approved deletion, and keeps the request [T81]', async () => {
      const effects = await effectsOf(api.db, async () => {
        const { status, body } = await decide(DELETION, 'approve')
        expect(status).to.equal(200)
        expect(adminTask.parse(body)).to.deep.include({
          status: 'fulfilled',
          project: null,
          reason: 'Double',
          notes: 'Project deletion approved - Twin',
        })
      })
      expect(effects).to.include.members([
        '- projects_project 205',
        '- documents_projectdocument 226',
        '~ adminoptions_admintask 262: notes, status, project_id',
      ])
      expect(effects.filter((effect) => !effect.startsWith('- '))).to.have.length(1)
    })

    it('unmarks the project of a rejected or cancelled deletion [T81]', async () => {
      for (const [verb, as, status] of [
        ['reject', SUE, 'rejected'],
        ['cancel', MEL, 'cancelled'],
      ] as const) {
        await api.reset()
        expect(await isDeletionRequested(205)).to.equal(true)
        const { body } = await decide(DELETION, verb, as)
        expect(adminTask.parse(body).status).to.equal(status)
        expect(await isDeletionRequested(205)).to.equal(false)
      }
    })

    it('sets the caretaker of an approved request until the requested time', async () => {
      const effects = await effectsOf(api.db, async () => {
        expect((await decide(CARETAKER, 'approve')).status).to.equal(200)
      })
      expect(effects).to.deep.equal([
        '+ caretakers_caretaker',
        '~ adminoptions_admintask 272: status',
      ])
      const relation = await api.db
        .selectFrom('caretakers_caretaker')
        .select(['user_id', 'caretaker_id', 'reason', 'end_date'])
        .where('user_id', '=', '2')
        .executeTakeFirstOrThrow()
      expect(relation).to.deep.include({ caretaker_id: '4', reason: 'Leave' })
      expect(relation.end_date?.getUTCFullYear()).to.be.above(2097)
    })

    it('carries out one of two concurrent decisions and answers the other with 409', async () => {
      for (const [id, lock] of [
        [DELETION, sql`select from projects_project where id = 205 for update`],
        [MERGE, sql`select from users_user where id = 1 for update`],
        [CARETAKER, sql`select from users_user where id = 2 for update`],
      ] as const) {
        for (const second of ['approve', 'reject']) {
          await api.reset()
          await sql`
            insert into adminoptions_admintask
              (id, created_at, updated_at, action, status, primary_user_id, secondary_users)
            values
              (271, '2020-01-01', '2020-01-01', 'mergeuser', 'pending', 1, '[2]'),
              (272, '2020-01-01', '2020-01-01', 'setcaretaker', 'pending', 2, '[4]')
          `.execute(api.db)
          const answers = await interleave(api.db, lock, [
            () => decide(id, 'approve'),
            () => decide(id, second),
          ])
          expect(statusesOf(answers), `${id} ${second}`).to.deep.equal([200, 409])
          expect((await stored(id)).status).to.equal('fulfilled')
        }
      }
    })

    it('deletes the project once if a direct deletion is concurrent', async () => {
      const lock = sql`select from projects_project where id = 205 for update`
      const remove = () => api.send('DELETE', 'projects/205', { as: SUE })
      const first = await interleave(api.db, lock, [() => decide(DELETION, 'approve'), remove])
      expect(statusesOf(first)).to.deep.equal([200, 404])
      await api.reset()
      const second = await interleave(api.db, lock, [remove, () => decide(DELETION, 'approve')])
      expect(statusesOf(second)).to.deep.equal([204, 404])
    })

    it('answers 409 to an approval whose project or user no longer exists', async () => {
      await sql`update adminoptions_admintask set project_id = null where id = 262`.execute(api.db)
      await sql`update adminoptions_admintask set secondary_users = '[999]' where id = 271`.execute(
        api.db,
      )
      await sql`update adminoptions_admintask set primary_user_id = null where id = 272`.execute(
        api.db,
      )
      for (const id of [DELETION, MERGE, CARETAKER]) {
        const effects = await effectsOf(api.db, async () => {
          const { status, body } = await decide(id, 'approve')
          expect(status).to.equal(409)
          expect(body).to.include({ detail: 'The subject of this request no longer exists.' })
        })
        expect(effects).to.deep.equal([])
        expect((await decide(id, 'reject')).status).to.equal(200)
      }
    })
  })

  describe('POST /adminoptions/tasks/:id/respond', () => {
    it('accepts only the requested caretaker and the covered user [T81, 403 instead of 401]', async () => {
      for (const [as, status] of [
        [0, 401],
        [OLD, 401],
        [LEA, 403],
        [SUE, 403],
      ] as const) {
        for (const body of [{ action: 'approve' }, { action: 'x' }]) {
          expect((await decide(CARETAKER, 'respond', as, body)).status).to.equal(status)
        }
      }
      for (const body of [{}, { action: null }, { action: 'x' }]) {
        for (const as of [MEL, OUT]) {
          const answer = await decide(CARETAKER, 'respond', as, body)
          expect(answer.status).to.equal(400)
          expect(answer.body).to.have.property('action')
        }
      }
      for (const as of [MEL, SUE]) {
        expect((await decide(MERGE, 'respond', as, { action: 'approve' })).status).to.equal(403)
      }
      expect((await decide(DELETION, 'respond', OUT, { action: 'approve' })).status).to.equal(404)
    })

    it('lets only the covered user approve a request by another user', async () => {
      const effects = await effectsOf(api.db, async () => {
        expect((await decide(CARETAKER, 'respond', OUT, { action: 'approve' })).status).to.equal(
          403,
        )
      })
      expect(effects).to.deep.equal([])
      expect((await decide(CARETAKER, 'respond', MEL, { action: 'approve' })).status).to.equal(200)
    })

    it('lets the caretaker decide once on a request by the covered user', async () => {
      await sql`update adminoptions_admintask set requester_id = 2 where id = 272`.execute(api.db)
      const approved = await effectsOf(api.db, async () => {
        const { status, body } = await decide(CARETAKER, 'respond', OUT, { action: 'approve' })
        expect(status).to.equal(200)
        expect(body).to.deep.equal({ message: 'Caretaker request approved successfully' })
      })
      expect(approved).to.include('+ caretakers_caretaker')
      expect((await decide(CARETAKER, 'respond', OUT, { action: 'reject' })).status).to.equal(409)
      await sql`update adminoptions_admintask set status = 'pending' where id = 272`.execute(api.db)
      const rejected = await effectsOf(api.db, async () => {
        const { body } = await decide(CARETAKER, 'respond', OUT, { action: 'reject' })
        expect(body).to.deep.equal({ message: 'Caretaker request rejected successfully' })
      })
      expect(rejected).to.deep.equal(['~ adminoptions_admintask 272: status'])
    })
  })

  describe('POST /adminoptions/mergeusers', () => {
    const mergeUsers = (body: unknown, as: number | undefined = SUE) =>
      api.send('POST', 'adminoptions/mergeusers', { body, ...(as && { as }) })

    it('accepts superusers only [T82, 403 instead of 401]', async () => {
      for (const [as, status] of [
        [0, 401],
        [OLD, 401],
        [LEA, 403],
      ] as const) {
        for (const body of [
          { primaryUser: 1, secondaryUsers: [2] },
          { primaryUser: 999, secondaryUsers: [2] },
          {},
        ]) {
          expect((await mergeUsers(body, as)).status).to.equal(status)
        }
      }
      const effects = await effectsOf(api.db, async () => {
        const { status } = await mergeUsers({ primaryUserId: 1, secondaryUserIds: ['2', 4] })
        expect(status).to.equal(200)
      })
      expect(effects).to.include.members(['- users_user 2', '- users_user 4'])
    })

    it('rejects missing users, users that do not exist and a merge of a user with itself [T82]', async () => {
      const effects = await effectsOf(api.db, async () => {
        for (const [body, field] of [
          [{ secondaryUsers: [2] }, 'primaryUser'],
          [{ primaryUser: 1 }, 'secondaryUsers'],
          [{ primaryUser: 1, secondaryUsers: [] }, 'secondaryUsers'],
          [{ primaryUser: 1, secondaryUsers: [1] }, 'non_field_errors'],
          [{ primaryUser: 999, secondaryUsers: [1] }, 'primary_user'],
          [{ primaryUser: 1, secondaryUsers: [2, 999] }, 'secondary_users'],
        ] as const) {
          const answer = await mergeUsers(body)
          expect(answer.status).to.equal(400)
          expect(answer.body).to.have.property(field)
        }
      })
      expect(effects).to.deep.equal([])
    })

    it('keeps one user if the reverse merge is concurrent', async () => {
      const lock = sql`select from users_user where id = 1 for update`
      const answers = await interleave(api.db, lock, [
        () => mergeUsers({ primaryUser: 1, secondaryUsers: [2] }),
        () => mergeUsers({ primaryUser: 2, secondaryUsers: [1] }),
      ])
      expect(statusesOf(answers)).to.deep.equal([200, 400])
    })
  })
})
