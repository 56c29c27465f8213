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

  describe('who acts for whom', () => {
    const wanted = { user: 2, caretaker: 1, reason: 'leave', notes: null, end_date: '2099-01-01' }

    it('T83: is set by one of the two or a superuser', async () => {
      for (const as of [MEL, LEA, SUE]) {
        await api.reset()
        const effects = await effectsOf(api.db, async () => {
          const { status, body } = await post('list', wanted, as)
          expect(status).to.equal(201)
          const relation = caretakerRelation.parse(body)
          expect([relation.user.id, relation.caretaker.id]).to.deep.equal([2, 1])
          expect(relation.user.caretakers).to.deep.equal([{ id: 1, name: 'Lea Ash' }])
          expect(relation).to.include({ reason: 'leave', end_date: '2099-01-01T00:00:00+08:00' })
        })
        expect(effects).to.deep.equal(['+ caretakers_caretaker'])
      }
      for (const [as, status] of [
        [0, 401],
        [OLD, 401],
        [OUT, 403],
      ] as const) {
        expect((await post('list', { ...wanted, caretaker: 3 }, as)).status).to.equal(status)
      }
    })

    it('T83: is set with a message for every wrong field, and once', async () => {
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
        () => post('list', wanted, LEA),
      ])
      expect(statusesOf(answers)).to.deep.equal([201, 409])
    })

    it('T83: is changed and ended by one of the two or a superuser', async () => {
      const sent = { end_date: null, reason: ' Travel ', notes: 'Back soon' }
      const { status, body } = await send('PUT', '263', OUT, sent)
      expect(status).to.equal(200)
      expect(caretakerRelation.parse(body)).to.include({ ...sent, reason: 'Travel' })
      const past = await send('PUT', '263', SUE, { end_date: '2020-01-01T00:00:00Z', user: 1 })
      expect(past.body).to.include({ end_date: '2020-01-01T08:00:00+08:00', reason: 'Travel' })
      expect((await send('PUT', '263', OUT, { end_date: 'x' })).status).to.equal(400)
      expect((await send('GET', '263', LEA)).status).to.equal(200)
      for (const method of ['PUT', 'DELETE']) {
        for (const [as, refusal] of [
          [0, 401],
          [OLD, 401],
          [LEA, 403],
        ] as const) {
          expect((await send(method, '263', as, {})).status).to.equal(refusal)
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

    it('T83: is set by superusers under other names too', async () => {
      for (const [body, id] of [
        [{ userPk: 2, caretakerPk: 1, reason: 'leave', endDate: '2099-01-01' }, 1],
        [{ user_id: 2, caretaker_id: 3, reason: 'leave', end_date: null }, 3],
      ] as const) {
        const { status, body: relation } = await post('admin-set', body)
        expect(status).to.equal(201)
        expect(caretakerRelation.parse(relation).caretaker.id).to.equal(id)
        expect((await post('admin-set', body)).status).to.equal(409)
        expect((await post('admin-set', body, MEL)).status).to.equal(403)
        expect((await post('admin-set', body, 0)).status).to.equal(401)
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

  describe('a request for a caretaker', () => {
    const wanted = { user_id: 2, caretaker_id: 4, reason: 'leave', end_date: '2099-01-01' }
    const create = async (as = LEA) =>
      requested.parse((await post('requests/create', wanted, as)).body).task_id
    const decide = (id: number, verb: string, as: number | undefined) =>
      post(`requests/${id}/${verb}`, undefined, as ?? 0)

    it('T83: is anybody’s to make, once', async () => {
      const answers = await interleave(api.db, userLock, [
        () => post('requests/create', wanted, LEA),
        () => post('requests/create', wanted, MEL),
      ])
      expect(statusesOf(answers)).to.deep.equal([201, 409])
      const { task_id, task } = requested.parse(answers[0]?.body)
      expect(task).to.include({ id: task_id, action: 'setcaretaker', status: 'pending' })
      expect(task.requester?.id).to.equal(LEA)
      expect(task.primary_user?.id).to.equal(MEL)
      expect(task.secondary_users.map(({ id }) => id)).to.deep.equal([OUT])
    })

    it('is refused with a message for every wrong field', async () => {
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

    it('is approved at once only by a superuser', async () => {
      const body = { ...wanted, approve_immediately: true }
      const refused = await effectsOf(api.db, async () => {
        expect((await post('requests/create', body, MEL)).status).to.equal(403)
      })
      expect(refused).to.deep.equal([])
      const effects = await effectsOf(api.db, async () => {
        const answer = await post('requests/create', body)
        expect(answer.status).to.equal(201)
        const { caretaker } = approved.parse(answer.body)
        expect([caretaker.user.id, caretaker.caretaker.id]).to.deep.equal([2, 4])
      })
      expect(effects).to.deep.equal(['+ adminoptions_admintask', '+ caretakers_caretaker'])
    })

    it('T83: is decided by the requested caretaker or a superuser, and cancelled by the requester', async () => {
      const id = await create()
      for (const [verb, refused] of [
        ['approve', [LEA, MEL]],
        ['reject', [LEA, MEL]],
        ['cancel', [OUT, MEL]],
      ] as const) {
        for (const as of refused) expect((await decide(id, verb, as)).status).to.equal(403)
        expect((await decide(id, verb, undefined)).status).to.equal(401)
        expect((await decide(id, verb, OLD)).status).to.equal(401)
        for (const other of [999, 262]) {
          const answer = await decide(other, verb, SUE)
          expect(answer.status).to.equal(404)
          expect(answer.body).to.include({ detail: `Caretaker request ${other} not found` })
        }
      }
      for (const [verb, as, message] of [
        ['reject', OUT, 'Caretaker request rejected successfully'],
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

    it('is carried out once, also when both approve it at the same time', async () => {
      const id = await create()
      const answers = await interleave(api.db, userLock, [
        () => decide(id, 'approve', OUT),
        () => decide(id, 'approve', SUE),
        () => decide(id, 'cancel', LEA),
      ])
      expect(statusesOf(answers)).to.deep.equal([200, 409, 409])
      const { message, caretaker } = decided.parse(answers[0]?.body)
      expect(message).to.equal('Caretaker request approved successfully')
      expect(caretaker).to.include({ reason: 'leave', end_date: '2099-01-01T00:00:00+08:00' })
    })

    it('and a direct setting meet: there is one caretaker', async () => {
      const id = await create()
      const answers = await interleave(api.db, userLock, [
        () => post('admin-set', wanted),
        () => decide(id, 'approve', OUT),
      ])
      expect(statusesOf(answers)).to.deep.equal([201, 409])
    })
  })
})
