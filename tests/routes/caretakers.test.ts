import { expect } from 'chai'
import { sql } from 'kysely'
import { z } from 'zod'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { caretakerRelation } from '../../shared/shapes/caretaker-relation.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { effectsOf } from '../support/effects.ts'
import { interleave } from '../support/interleave.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'
const noSuch = 'Invalid pk "999" - object does not exist.'
const userLock = sql`select from users_user where id = 2 for update`

const requested = z.strictObject({ task_id: z.int(), task: adminTask })
const approved = z.strictObject({
  task_id: z.int(),
  approved: z.literal(true),
  caretaker: caretakerRelation,
})
const decided = z.strictObject({ message: z.string(), caretaker: caretakerRelation })

describeOnBothTables('caretakers over HTTP', (api) => {
  const send = (method: string, path: string, as: number | undefined, body?: unknown) =>
    api.send(method, `caretakers/${path}`, {
      ...(as && { as }),
      ...(body !== undefined && { body }),
    })
  const post = (path: string, body?: unknown, as: number | undefined = SUE) =>
    send('POST', path, as, body)
  const statusesOf = (answers: readonly { readonly status: number }[]) =>
    answers.map(({ status }) => status)

  describe('caretaker relations', () => {
    const wanted = { user: 2, caretaker: 1, reason: 'leave', notes: null, end_date: '2099-01-01' }

    it('are created by the covered user or a superuser only [T83]', async () => {
      for (const as of [MEL, SUE]) {
        await api.reset()
        const effects = await effectsOf(api.db, async () => {
          const { status, body } = await post('list', wanted, as)
          expect(status).to.equal(201)
          const relation = caretakerRelation.parse(body)
          expect([relation.user.id, relation.caretaker.id]).to.deep.equal([2, 1])
          expect(relation.user.caretakers).to.deep.equal([{ id: 1, name: 'Lea Ash' }])
          expect(relation).to.include({
            reason: 'leave',
            end_date: '2099-01-01T23:59:59.999000+08:00',
          })
        })
        expect(effects).to.deep.equal(['+ caretakers_caretaker'])
      }
      const effects = await effectsOf(api.db, async () => {
        for (const [as, status] of [
          [0, 401],
          [OLD, 401],
          [LEA, 403],
          [OUT, 403],
        ] as const) {
          // Valid, with another caretaker, with a covered superuser, with a missing user, invalid.
          for (const body of [
            wanted,
            { ...wanted, caretaker: 3 },
            { ...wanted, user: 3 },
            { ...wanted, user: 999 },
            { ...wanted, reason: 5 },
          ]) {
            expect((await post('list', body, as)).status).to.equal(status)
          }
        }
      })
      expect(effects).to.deep.equal([])
    })

    it('are rejected with 400 for invalid fields and with 409 for a duplicate [T83]', async () => {
      for (const [body, field, message] of [
        [{ user: undefined }, 'user', 'This field is required.'],
        [{ user: 999 }, 'user', noSuch],
        [{ caretaker: null }, 'caretaker', 'This field may not be null.'],
        [{ caretaker: 999 }, 'caretaker', noSuch],
        [{ caretaker: 2 }, 'non_field_errors', 'Cannot caretake for yourself'],
        [{ end_date: '2020-01-01' }, 'end_date', 'End date cannot be in the past'],
        [{ reason: 5 }, 'reason', 'Not a valid string.'],
        [{ notes: '\0' }, 'notes', 'Null characters are not allowed.'],
      ] as const) {
        const answer = await post('list', { ...wanted, ...body })
        expect(answer.status, JSON.stringify(body)).to.equal(400)
        expect(answer.body).to.have.property(field).that.includes(message)
      }
      const answers = await interleave(api.db, userLock, [
        () => post('list', wanted),
        () => post('list', wanted, MEL),
      ])
      expect(statusesOf(answers)).to.deep.equal([201, 409])
    })

    it('may end today, and last until the end of the day in the time zone', async () => {
      const today = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Australia/Perth' }).format()
      // Front ends send midnight of the day, which has passed.
      for (const end_date of [today, `${today}T00:00:00+08:00`]) {
        await api.reset()
        const { status, body } = await post('list', { ...wanted, end_date })
        expect(status, end_date).to.equal(201)
        expect(caretakerRelation.parse(body).end_date).to.equal(`${today}T23:59:59.999000+08:00`)
        const shown = await api.send('GET', 'users/2', { as: SUE })
        expect(JSON.stringify(shown.body)).to.include(`"caretakers":[{"id":1,`)
      }
    })

    it('may get the day again that Django stored as midnight', async () => {
      await sql`
        update caretakers_caretaker set end_date = '2099-06-01T00:00:00+08:00' where id = 64
      `.execute(api.db)
      for (const [end_date, status] of [
        ['2099-06-02', 403],
        ['2099-06-01T00:00:00+08:00', 200],
      ] as const) {
        expect((await send('PUT', '64', MEL, { end_date })).status, end_date).to.equal(status)
      }
    })

    it('can be shortened by the caretaker, and extended only by the covered user or a superuser', async () => {
      // Mel acts for Lea without an end.
      const put = (end_date: string | null, as: number) => send('PUT', '64', as, { end_date })
      for (const [as, end_date, status] of [
        [MEL, null, 200],
        [MEL, '2099-06-01', 200],
        [MEL, '2099-06-01', 200],
        [MEL, '2099-06-02', 403],
        [MEL, null, 403],
        [MEL, '2099-05-01', 200],
        [LEA, '2099-07-01', 200],
        [SUE, '2099-08-01', 200],
        [LEA, null, 200],
      ] as const) {
        expect((await put(end_date, as)).status, `${as} ${end_date}`).to.equal(status)
      }
      const texts = await send('PUT', '64', MEL, { reason: 'Travel', notes: null })
      expect(texts.body).to.include({ reason: 'Travel', end_date: null })
    })

    it('cannot be extended by a caretaker whose write waited while the covered user shortened them', async () => {
      const lock = sql`select from caretakers_caretaker where id = 64 for update`
      const answers = await interleave(api.db, lock, [
        () => send('PUT', '64', LEA, { end_date: '2099-01-01' }),
        () => send('PUT', '64', MEL, { end_date: '2099-06-01' }),
      ])
      expect(statusesOf(answers)).to.deep.equal([200, 403])
    })

    it('are changed and deleted by one of the two users or a superuser [T83]', async () => {
      const sent = { end_date: null, reason: ' Travel ', notes: 'Back soon' }
      const { status, body } = await send('PUT', '263', OUT, sent)
      expect(status).to.equal(200)
      expect(caretakerRelation.parse(body)).to.include({ ...sent, reason: 'Travel' })
      const past = await send('PUT', '263', SUE, { end_date: '2020-01-01T00:00:00Z', user: 1 })
      expect(past.body).to.include({
        end_date: '2020-01-01T23:59:59.999000+08:00',
        reason: 'Travel',
      })
      expect((await send('PUT', '263', OUT, { end_date: 'x' })).status).to.equal(400)
      expect((await send('GET', '263', LEA)).status).to.equal(200)
      for (const method of ['PUT', 'DELETE']) {
        for (const [as, writeError] of [
          [0, 401],
          [OLD, 401],
          [LEA, 403],
        ] as const) {
          expect((await send(method, '263', as, {})).status).to.equal(writeError)
        }
        for (const id of ['999', TOO_BIG]) {
          const missing = await send(method, id, SUE, {})
          expect(missing.status).to.equal(404)
          expect(missing.body).to.include({ detail: `Caretaker ${id} not found` })
        }
      }
      expect((await send('PATCH', '263', SUE, {})).status).to.equal(405)
      const effects = await effectsOf(api.db, async () => {
        expect((await send('DELETE', '263', OUT)).status).to.equal(204)
      })
      expect(effects).to.deep.equal(['- caretakers_caretaker 263'])
    })

    it('are created by superusers under other field names too [T83]', async () => {
      for (const [body, id] of [
        [{ userPk: 2, caretakerPk: 1, reason: 'leave', endDate: '2099-01-01' }, 1],
        [{ user_id: 2, caretaker_id: 3, reason: 'leave', end_date: null }, 3],
      ] as const) {
        const { status, body: relation } = await post('admin-set', body)
        expect(status).to.equal(201)
        expect(caretakerRelation.parse(relation).caretaker.id).to.equal(id)
        expect((await post('admin-set', body)).status).to.equal(409)
        for (const rejected of [body, {}]) {
          expect((await post('admin-set', rejected, MEL)).status).to.equal(403)
          expect((await post('admin-set', rejected, 0)).status).to.equal(401)
        }
      }
      for (const [body, field] of [
        [{ userPk: 2, caretakerPk: 1 }, 'reason'],
        [{ userPk: 2, reason: 'x' }, 'caretaker_id'],
        [{ caretakerPk: 2, reason: 'x' }, 'user_id'],
        [{ userPk: 2, caretakerPk: 2, reason: 'x' }, 'non_field_errors'],
      ] as const) {
        const answer = await post('admin-set', body)
        expect(answer.status).to.equal(400)
        expect(answer.body).to.have.property(field)
      }
    })
  })

  describe('caretaker requests', () => {
    const wanted = { user_id: 2, caretaker_id: 4, reason: 'leave', end_date: '2099-01-01' }
    const create = async (as = LEA, body: object = wanted) =>
      requested.parse((await post('requests/create', body, as)).body).task_id
    const decide = (id: number, verb: string, as: number | undefined) =>
      post(`requests/${id}/${verb}`, undefined, as ?? 0)

    it('are created by any user, and duplicates are answered with 409 [T83]', async () => {
      const answers = await interleave(api.db, userLock, [
        () => post('requests/create', wanted, LEA),
        () => post('requests/create', wanted, MEL),
      ])
      expect(statusesOf(answers)).to.deep.equal([201, 409])
      const { task_id, task } = requested.parse(answers[0]?.body)
      expect(task).to.include({ id: task_id, action: 'setcaretaker', status: 'pending' })
      expect(task.requester.id).to.equal(LEA)
      expect(task.primary_user?.id).to.equal(MEL)
      expect(task.secondary_users.map(({ id }) => id)).to.deep.equal([OUT])
    })

    it('are rejected with 400 for invalid fields', async () => {
      const effects = await effectsOf(api.db, async () => {
        for (const body of [
          { user_id: undefined },
          { caretaker_id: undefined },
          { user_id: 999 },
          { caretaker_id: 999 },
          { caretaker_id: 2 },
          { end_date: '2020-01-01' },
          { approve_immediately: 'x' },
        ]) {
          const answer = await post('requests/create', { ...wanted, ...body })
          expect(answer.status, JSON.stringify(body)).to.equal(400)
        }
        expect((await post('requests/create', wanted, 0)).status).to.equal(401)
        const existing = { ...wanted, user_id: 5 }
        expect((await post('requests/create', existing)).status).to.equal(409)
      })
      expect(effects).to.deep.equal([])
    })

    it('are approved immediately only if a superuser creates them', async () => {
      const body = { ...wanted, approve_immediately: true }
      const rejected = await effectsOf(api.db, async () => {
        for (const sent of [body, { ...body, caretaker_id: 999 }, { approve_immediately: true }]) {
          expect((await post('requests/create', sent, MEL)).status).to.equal(403)
        }
      })
      expect(rejected).to.deep.equal([])
      const effects = await effectsOf(api.db, async () => {
        const answer = await post('requests/create', body)
        expect(answer.status).to.equal(201)
        const { caretaker } = approved.parse(answer.body)
        expect([caretaker.user.id, caretaker.caretaker.id]).to.deep.equal([2, 4])
      })
      expect(effects).to.deep.equal(['+ adminoptions_admintask', '+ caretakers_caretaker'])
    })

    it('are approved by the requested caretaker only if the covered user requested it [T83]', async () => {
      // Requester, covered user, requested caretaker, then users answered with 200, 403 and 404.
      for (const [requester, user_id, caretaker_id, allowed, rejected, unseen] of [
        [MEL, MEL, OUT, [MEL, OUT, SUE], [], [LEA]],
        [LEA, MEL, OUT, [MEL, SUE], [LEA, OUT], []],
        [OUT, MEL, OUT, [MEL, SUE], [OUT], [LEA]],
        [OUT, SUE, OUT, [SUE], [OUT], [LEA, MEL]],
      ] as const) {
        const body = { ...wanted, user_id, caretaker_id }
        for (const as of allowed) {
          await api.reset()
          const id = await create(requester, body)
          const before = await effectsOf(api.db, async () => {
            for (const other of rejected) {
              expect((await decide(id, 'approve', other)).status).to.equal(403)
              const answer = await api.send('POST', `adminoptions/tasks/${id}/respond`, {
                as: other,
                body: { action: 'approve' },
              })
              expect(answer.status).to.equal(403)
            }
            for (const other of unseen) {
              expect((await decide(id, 'approve', other)).status).to.equal(404)
            }
          })
          expect(before).to.deep.equal([])
          const effects = await effectsOf(api.db, async () => {
            expect((await decide(id, 'approve', as)).status).to.equal(200)
          })
          expect(effects).to.include('+ caretakers_caretaker')
        }
      }
    })

    it('are not approved by the requested caretaker if their requester is deleted', async () => {
      const id = await create(MEL)
      await sql`update adminoptions_admintask set requester_id = null where id = ${id}`.execute(
        api.db,
      )
      expect((await decide(id, 'approve', OUT)).status).to.equal(403)
      expect((await decide(id, 'approve', MEL)).status).to.equal(200)
    })

    it('can be rejected by both users and cancelled by the requester, and both by superusers [T83]', async () => {
      const id = await create()
      for (const [verb, rejected] of [
        ['approve', [LEA, OUT]],
        ['reject', [LEA]],
        ['cancel', [OUT, MEL]],
      ] as const) {
        for (const as of rejected) expect((await decide(id, verb, as)).status).to.equal(403)
        expect((await decide(id, verb, undefined)).status).to.equal(401)
        expect((await decide(id, verb, OLD)).status).to.equal(401)
        for (const other of [999, 262]) {
          for (const as of [SUE, LEA]) {
            const answer = await decide(other, verb, as)
            expect(answer.status).to.equal(404)
            expect(answer.body).to.include({ detail: `Caretaker request ${other} not found` })
          }
        }
      }
      for (const [verb, as, message] of [
        ['reject', OUT, 'Caretaker request rejected successfully'],
        ['reject', MEL, 'Caretaker request rejected successfully'],
        ['reject', SUE, 'Caretaker request rejected successfully'],
        ['cancel', LEA, 'Caretaker request cancelled successfully'],
        ['cancel', SUE, 'Caretaker request cancelled successfully'],
      ] as const) {
        await api.reset()
        const { status, body } = await decide(await create(), verb, as)
        expect(status).to.equal(200)
        expect(body).to.deep.equal({ message })
      }
    })

    it('are carried out once if decisions are concurrent', async () => {
      const id = await create(MEL)
      const answers = await interleave(api.db, userLock, [
        () => decide(id, 'approve', OUT),
        () => decide(id, 'approve', SUE),
        () => decide(id, 'cancel', MEL),
      ])
      expect(statusesOf(answers)).to.deep.equal([200, 409, 409])
      const { message, caretaker } = decided.parse(answers[0]?.body)
      expect(message).to.equal('Caretaker request approved successfully')
      expect(caretaker).to.include({
        reason: 'leave',
        end_date: '2099-01-01T23:59:59.999000+08:00',
      })
    })

    it('are answered with 409 if a superuser sets the caretaker concurrently', async () => {
      const id = await create(MEL)
      const answers = await interleave(api.db, userLock, [
        () => post('admin-set', wanted),
        () => decide(id, 'approve', OUT),
      ])
      expect(statusesOf(answers)).to.deep.equal([201, 409])
    })
  })
})
