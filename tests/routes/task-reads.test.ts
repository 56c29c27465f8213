import { expect } from 'chai'
import type { z } from 'zod'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { caretakerCheck, caretakerRelation } from '../../shared/shapes/caretaker-relation.ts'
import {
  caretakerDocuments,
  pendingDocuments,
  pendingEndorsements,
} from '../../shared/shapes/pending-documents.ts'
import { expectForUsersOnly, startReadApi } from './read-api.ts'
import type { TestApi } from './test-api.ts'

const [LIN, MAX, SOL, ODA] = [1201, 1202, 1203, 1204]
const TOO_BIG = '9223372036854775808'
const NOTHING = { all: [], team: [], lead: [], ba: [], directorate: [] }

describe('reads of tasks over HTTP', () => {
  let api: TestApi

  before(async () => {
    api = await startReadApi()
  })
  after(() => api[Symbol.asyncDispose]())

  const get = (path: string, as = LIN) => api.send('GET', path, { as })
  const idsOf = async (path: string, as: number, shape: z.ZodType<{ id: number }>) =>
    shape
      .array()
      .parse((await get(path, as)).body)
      .map(({ id }) => id)
      .filter((id) => id > 1000)

  it('require a session', async () => {
    for (const path of [
      'adminoptions/tasks',
      'adminoptions/tasks/pending',
      'caretakers/check',
      'caretakers/list',
      'caretakers/1111',
      'caretakers/requests?user_id=1201',
      'caretakers/requests/outgoing?user_id=1201',
      'caretakers/tasks/1204',
      'documents/projectdocuments/pendingmyaction',
      'documents/endorsements/pendingmyaction',
    ]) {
      await expectForUsersOnly(api, path)
    }
  })

  it('list pending admin tasks for superusers and the users that they name [T81]', async () => {
    for (const [as, ids] of [
      [SOL, [1101, 1102, 1103, 1105, 1106, 1107, 1108]],
      [LIN, [1102, 1103, 1105]],
      [MAX, [1101, 1102, 1103, 1105, 1106, 1108]],
      [ODA, []],
    ] as const) {
      expect(await idsOf('adminoptions/tasks', as, adminTask)).to.deep.equal(ids)
      const open = ids.filter((id) => id !== 1103)
      expect(await idsOf('adminoptions/tasks/pending', as, adminTask)).to.deep.equal(open)
    }
  })

  it('do not cancel expired tasks [T81]', async () => {
    await get('adminoptions/tasks/pending', SOL)
    const task = await api.db
      .selectFrom('adminoptions_admintask')
      .select(['status', 'updated_at'])
      .where('id', '=', '1103')
      .executeTakeFirst()
    expect(task).to.deep.equal({ status: 'pending', updated_at: new Date('2020-01-01') })
  })

  it('show the requester, the action and the users of a task [T81]', async () => {
    const deletion = adminTask.parse((await get('adminoptions/tasks/1101', MAX)).body)
    expect(deletion).to.deep.include({
      action: 'deleteproject',
      project: { id: 1251, title: 'Quokkas' },
      primary_user: null,
      secondary_users: [],
      reason: 'Done',
      end_date: null,
    })
    expect(deletion.requester).to.deep.equal({
      id: 1202,
      display_first_name: 'Max',
      display_last_name: 'Gum',
      email: 'max@reads.test',
      image: null,
    })
    const merge = adminTask.parse((await get('adminoptions/tasks/1105', MAX)).body)
    expect(merge.secondary_users.map(({ id }) => id)).to.deep.equal([1202, 1201])
    expect(merge.primary_user?.image).to.deep.equal({
      id: 1112,
      user: { id: 1201, username: 'lin' },
      created_at: '2020-01-01T08:00:00+08:00',
      updated_at: '2020-01-01T08:00:00+08:00',
      file: '/files/user_avatars/1201.png',
      size: 5,
    })
    const odd = adminTask.parse((await get('adminoptions/tasks/1107', SOL)).body)
    expect(odd.secondary_users).to.deep.equal([])
  })

  it('name a deleted requester', async () => {
    const paths = [
      'adminoptions/tasks',
      'adminoptions/tasks/pending',
      'caretakers/requests?user_id=1202',
    ]
    for (const path of paths) {
      const tasks = adminTask.array().parse((await get(path, SOL)).body)
      expect(tasks.find(({ id }) => id === 1108)?.requester, path).to.deep.equal({
        id: 0,
        display_first_name: 'Deleted',
        display_last_name: 'user',
        email: null,
        image: null,
      })
    }
  })

  it('answer 404 for tasks of other users and for missing tasks [T81]', async () => {
    for (const [path, as, detail] of [
      ['adminoptions/tasks/1101', LIN, 'Task 1101 not found'],
      ['adminoptions/tasks/999', SOL, 'Task 999 not found'],
      [`adminoptions/tasks/${TOO_BIG}`, SOL, `Task ${TOO_BIG} not found`],
      ['caretakers/999', SOL, 'Caretaker 999 not found'],
      ['caretakers/tasks/1202', ODA, 'User 1202 not found'],
      ['caretakers/tasks/x', ODA, 'Not found.'],
    ] as const) {
      const { status, body } = await get(path, as)
      expect(status, path).to.equal(404)
      expect(body).to.include({ detail })
    }
    expect((await get('adminoptions/tasks/1104', ODA)).status).to.equal(200)
  })

  it('list the incoming and outgoing requests for a caretaker [T83]', async () => {
    for (const [path, as, ids] of [
      ['caretakers/requests?user_id=1202', MAX, [1108, 1102]],
      ['caretakers/requests?user_id=1202', LIN, [1102]],
      ['caretakers/requests?user_id=1202', SOL, [1108, 1102]],
      ['caretakers/requests?user_id=1202', ODA, []],
      ['caretakers/requests?user_id=1201', LIN, [1103]],
      ['caretakers/requests/outgoing?user_id=1201', LIN, [1102]],
      ['caretakers/requests/outgoing?user_id=1201', ODA, []],
      ['caretakers/requests/outgoing?user_id=1202', SOL, [1103]],
      ['caretakers/requests/outgoing?user_id=1202', LIN, [1103]],
      ['caretakers/requests/outgoing?user_id=1202', ODA, []],
      ['caretakers/requests/outgoing?user_id=1203', SOL, [1107, 1108]],
      ['caretakers/requests/outgoing?user_id=1203', LIN, []],
    ] as const) {
      expect(await idsOf(path, as, adminTask), `${path} as ${as}`).to.deep.equal(ids)
    }
    for (const path of ['caretakers/requests', 'caretakers/requests/outgoing']) {
      const { status, body } = await get(path)
      expect(status).to.equal(400)
      expect(body).to.include({ error: 'user_id query parameter is required' })
      expect((await get(`${path}?user_id=x`)).status).to.equal(400)
    }
  })

  it('show the caretaker and the caretaker requests of the current user [T83]', async () => {
    const lin = caretakerCheck.parse((await get('caretakers/check', LIN)).body)
    expect(lin.caretaker_object?.id).to.equal(1111)
    expect(lin.caretaker_request_object?.id).to.equal(1102)
    expect(lin.become_caretaker_request_object?.id).to.equal(1103)
    expect((await get('caretakers/check', ODA)).body).to.deep.equal({
      caretaker_object: null,
      caretaker_request_object: null,
      become_caretaker_request_object: null,
    })
  })

  it('show caretaker relations, but reasons only to both users and superusers [T83]', async () => {
    for (const [as, reasons] of [
      [LIN, ['resignation', 'leave']],
      [MAX, [null, 'leave']],
      [SOL, ['resignation', 'leave']],
      [ODA, [null, null]],
    ] as const) {
      const listed = caretakerRelation.array().parse((await get('caretakers/list', as)).body)
      const all = listed.filter(({ id }) => id > 1000)
      expect(all.map(({ id }) => id)).to.deep.equal([1110, 1111])
      expect(all.map(({ reason }) => reason)).to.deep.equal(reasons)
      expect(all.map(({ notes }) => notes !== null)).to.deep.equal(reasons.map((it) => it !== null))
      expect((await get('caretakers/1111', as)).body).to.deep.equal(all[1])
    }
    const { body } = await get('caretakers/1111')
    const { user, caretaker } = caretakerRelation.parse(body)
    expect(user.caretakers).to.deep.equal([
      { id: 1203, name: 'Sol Hay' },
      { id: 1202, name: 'Max Gum' },
    ])
    expect(caretaker).to.deep.include({ id: 1202, username: 'max', image: null })
    expect(caretaker.work).to.deep.include({ id: 1222, role: 'None' })
    expect(caretaker.work?.business_area).to.deep.include({ id: 1009, project_count: 1 })
  })

  it('list documents that wait for the current user [T78]', async () => {
    const find = async (as: number) =>
      pendingDocuments.parse(
        (await get('documents/projectdocuments/pendingmyaction?stage=1', as)).body,
      )
    const [lin, max] = [await find(LIN), await find(MAX)]
    expect(lin.lead.map(({ id }) => id)).to.include(1258)
    expect(lin.all).to.deep.equal(lin.lead)
    expect(lin.lead[0]?.created_year).to.equal(2020)
    expect(max.team).to.deep.equal(lin.lead)
    expect(await find(ODA)).to.deep.equal(NOTHING)
  })

  it('list documents that wait for the covered users of a caretaker [T83]', async () => {
    const { body } = await get('caretakers/tasks/1202', MAX)
    const { lead, team } = caretakerDocuments.parse(body)
    expect(lead.find(({ id }) => id === 1258)?.for_user).to.deep.equal({
      id: 1201,
      email: 'lin@reads.test',
      display_first_name: 'Lin',
      display_last_name: 'Fox',
      image: '/files/user_avatars/1201.png',
    })
    expect(team).to.deep.equal([])
    expect((await get('caretakers/tasks/1202', SOL)).body).to.deep.equal(body)
    // The caretaker relation of Sol has ended.
    expect((await get('caretakers/tasks/1203', SOL)).body).to.deep.equal(NOTHING)
    expect((await get('caretakers/tasks/1204', ODA)).body).to.deep.equal(NOTHING)
  })

  it('list no endorsements for ordinary users [T79]', async () => {
    const { body } = await get('documents/endorsements/pendingmyaction')
    expect(pendingEndorsements.parse(body)).to.deep.equal({ aec: [] })
  })
})
