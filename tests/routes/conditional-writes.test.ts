import { expect } from 'chai'
import { sql } from 'kysely'
import { startTestApi, type TestApi, type TestResponse } from './test-api.ts'

const [LEA, SUE] = [1, 3]

/** A change or deletion of an entity. */
interface Write {
  readonly path: string
  readonly method: 'PUT' | 'POST' | 'DELETE'
  /** The path of the write; by default `path`. */
  readonly target?: string
  readonly body?: object
  /** Id of the user who writes; by default the superuser. */
  readonly as?: number
}

const CHANGES: readonly Write[] = [
  { path: 'agencies/branches/21', method: 'PUT', body: { name: 'New' } },
  { path: 'agencies/affiliations/35', method: 'PUT', body: { name: 'New' } },
  { path: 'agencies/business_areas/31', method: 'PUT', body: { name: 'New' } },
  {
    path: 'agencies/business_areas/31',
    method: 'POST',
    target: 'agencies/business_areas/setactive/31',
    body: { is_active: false },
  },
  { path: 'agencies/divisions/271', method: 'PUT', body: { name: 'New' } },
  { path: 'agencies/divisions/271/email_list', method: 'POST', body: { usersList: [2] } },
  { path: 'agencies/services/203', method: 'PUT', body: { name: 'New' } },
  { path: 'caretakers/263', method: 'PUT', body: { notes: 'New' } },
  {
    path: 'adminoptions/tasks/262',
    method: 'POST',
    target: 'adminoptions/tasks/262/reject',
  },
  { path: 'users/employment_entries/43', method: 'PUT', body: { section: 'New' }, as: LEA },
  { path: 'users/education_entries/45', method: 'PUT', body: { location: 'New' }, as: LEA },
  { path: 'projects/project_members/51/2', method: 'PUT', body: { short_code: 'New' } },
  { path: 'projects/project_areas/208', method: 'PUT', body: { areas: [201] } },
  { path: 'projects/project_details/210', method: 'PUT', body: { owner: 3 } },
  { path: 'projects/student_project_details/212', method: 'PUT', body: { organisation: 'New' } },
  { path: 'projects/external_project_details/214', method: 'PUT', body: { budget: 'New' } },
  { path: 'projects/51', method: 'PUT', body: { title: 'New' } },
  { path: 'projects/51', method: 'PUT', body: { title: 'New' }, as: LEA },
  { path: 'projects/51', method: 'POST', target: 'projects/51/suspend' },
  {
    path: 'projects/51',
    method: 'POST',
    target: 'projects/51/toggle_user_profile_visibility',
    body: { is_hidden: true },
    as: LEA,
  },
  { path: 'users/staffprofiles/41', method: 'PUT', body: { about: 'New' }, as: LEA },
  { path: 'users/staffprofiles/41', method: 'PUT', body: { about: 'New' } },
  {
    path: 'users/staffprofiles/41',
    method: 'POST',
    target: 'users/staffprofiles/41/toggle_visibility',
    body: { is_hidden: true },
    as: LEA,
  },
  { path: 'users/1', method: 'PUT', body: { first_name: 'New' } },
  { path: 'users/1', method: 'PUT', body: { first_name: 'New' }, as: LEA },
  { path: 'users/2', method: 'POST', target: 'users/2/toggleactive', body: { is_active: false } },
  { path: 'users/2', method: 'POST', target: 'users/2/admin', body: { is_superuser: true } },
]

const DELETIONS: readonly Write[] = [
  'agencies/branches/23',
  'agencies/affiliations/39',
  'agencies/business_areas/32',
  'agencies/divisions/271',
  'agencies/services/203',
  'caretakers/263',
  'users/employment_entries/43',
  'projects/project_members/51/2',
  'projects/project_areas/208',
  'projects/51',
  'users/staffprofiles/41',
  'users/4',
].map((path) => ({ path, method: 'DELETE' }))

describe('a write with If-Match', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi()
  })
  after(() => api[Symbol.asyncDispose]())
  beforeEach(() => api.reset())

  const read = async ({ path, as = SUE }: Write) => {
    const answer = await api.send('GET', path, { as })
    expect(answer.status, path).to.equal(200)
    return { etag: String(answer.headers['etag']), body: answer.body }
  }
  const write = (
    { path, method, target = path, body, as = SUE }: Write,
    tag: string,
  ): Promise<TestResponse> =>
    api.send(method, target, {
      as,
      ...(body && { body }),
      headers: { 'If-Match': tag },
    })

  for (const change of CHANGES) {
    const { method, path, target = path, as } = change
    const title = `${method} ${target}${as === undefined ? '' : ' as its owner'}`

    it(`is rejected with 412 for an outdated tag, and changes nothing: ${title}`, async () => {
      const before = await read(change)
      expect(before.etag).to.match(/^"[\w-]+"$/)
      for (const tag of ['"old"', `W/${before.etag}`, 'old', '']) {
        const rejected = await write(change, tag)
        expect(rejected.status, tag).to.equal(412)
        expect(rejected.headers['content-type']).to.equal('application/problem+json')
      }
      expect(await read(change)).to.deep.equal(before)
    })

    it(`returns the ETag of the next GET: ${title}`, async () => {
      const before = await read(change)
      const changed = await write(change, `"other", ${before.etag}`)
      expect(changed.status).to.equal(200)
      const after = await read(change)
      expect(changed.headers['etag']).to.equal(after.etag).and.not.to.equal(before.etag)
      expect((await write(change, before.etag)).status).to.equal(412)
    })
  }

  for (const deletion of DELETIONS) {
    it(`deletes an entity only with its current tag: DELETE ${deletion.path}`, async () => {
      const { etag } = await read(deletion)
      expect((await write(deletion, '"old"')).status).to.equal(412)
      await read(deletion)
      expect((await write(deletion, etag)).status).to.equal(204)
    })
  }

  it('accepts every state with *, and answers 404 for an entity that does not exist', async () => {
    const [change] = CHANGES as [Write]
    expect((await write(change, '*')).status).to.equal(200)
    expect((await write({ ...change, path: 'agencies/branches/999' }, '*')).status).to.equal(404)
    expect((await write({ ...change, path: 'agencies/branches/999' }, '"x"')).status).to.equal(404)
  })

  it('accepts the tag of a compressed GET, and rejects it once it is outdated', async () => {
    const body = { about: 'x'.repeat(2_000) }
    const change: Write = { path: 'users/staffprofiles/41', method: 'PUT', as: LEA, body }
    expect((await write(change, '*')).status).to.equal(200)
    const plain = await read(change)
    const headers = { 'Accept-Encoding': 'gzip' }
    const { etag, ...sent } = (await api.send('GET', change.path, { as: LEA, headers })).headers
    expect(sent).to.include({ 'content-encoding': 'gzip' })
    expect(String(etag)).to.equal(plain.etag.replace(/"$/, '-gzip"'))
    const again = { ...change, body: { about: 'y' } }
    expect((await write(again, `W/${String(etag)}`)).status).to.equal(412)
    expect((await write(again, String(etag))).status).to.equal(200)
    expect((await write(again, String(etag))).status).to.equal(412)
  })

  it('accepts one of two concurrent writes with the same tag', async () => {
    const change: Write = { path: 'projects/51', method: 'PUT' }
    const { etag } = await read(change)
    const answers = await Promise.all([
      write({ ...change, body: { title: 'First' } }, etag),
      write({ ...change, body: { title: 'Second' } }, etag),
    ])
    expect(answers.map(({ status }) => status)).to.have.members([200, 412])
  })

  it('is checked after the permission, so that a 403 does not depend on the tag', async () => {
    const change: Write = { path: 'agencies/branches/21', method: 'PUT', body: { name: 'New' } }
    const { etag } = await read(change)
    for (const tag of [etag, '"old"']) {
      expect((await write({ ...change, as: LEA }, tag)).status).to.equal(403)
    }
  })

  it('uses the ETag of the last write for parts of a user without GET', async () => {
    for (const [path, body] of [
      ['users/1/pi', { title: 'mr' }],
      ['users/1/membership', { role: 'Other' }],
    ] as const) {
      const change: Write = { path, method: 'PUT', body, as: LEA }
      const first = await write(change, '*')
      expect(first.status).to.equal(200)
      expect((await write(change, '"old"')).status).to.equal(412)
      expect((await write(change, String(first.headers['etag']))).status).to.equal(200)
    }
  })
})

describe('a toggle', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi()
  })
  after(() => api[Symbol.asyncDispose]())
  beforeEach(() => api.reset())

  for (const [path, field, as, table, id] of [
    ['agencies/business_areas/setactive/31', 'is_active', SUE, 'agencies_businessarea', 31],
    ['users/staffprofiles/41/toggle_visibility', 'is_hidden', LEA, 'users_publicstaffprofile', 41],
    ['users/2/toggleactive', 'is_active', SUE, 'users_user', 2],
    ['users/2/admin', 'is_superuser', SUE, 'users_user', 2],
  ] as const) {
    it(`sets the value in the body, also repeatedly: ${path}`, async () => {
      const stored = async () => {
        const { rows } = await sql<{ value: boolean }>`
          select ${sql.ref(field)} as value from ${sql.table(table)} where id = ${id}`.execute(
          api.db,
        )
        return rows[0]?.value
      }
      const before = await stored()
      for (const value of [true, true, false, false]) {
        expect((await api.send('POST', path, { as, body: { [field]: value } })).status).to.equal(
          200,
        )
        expect(await stored()).to.equal(value)
      }
      expect((await api.send('POST', path, { as, body: { [field]: 'yes' } })).status).to.equal(400)
      expect((await api.send('POST', path, { as })).status).to.equal(200)
      expect(await stored()).to.equal(true)
      expect(before).to.be.a('boolean')
    })
  }

  it('hides a project from the page of a member, also repeatedly', async () => {
    const hiddenFrom = async () => {
      const { rows } = await sql<{ ids: number[] }>`
        select hidden_from_staff_profiles as ids from projects_project where id = 51`.execute(
        api.db,
      )
      return rows[0]?.ids
    }
    const path = 'projects/51/toggle_user_profile_visibility'
    for (const is_hidden of [true, true, false, false]) {
      await api.send('POST', path, { as: LEA, body: { is_hidden } })
      expect(await hiddenFrom()).to.deep.equal(is_hidden ? [LEA] : [])
    }
    await api.send('POST', path, { as: LEA })
    expect(await hiddenFrom()).to.deep.equal([LEA])
  })
})
