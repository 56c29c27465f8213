import { expect } from 'chai'
import fc from 'fast-check'
import { sql } from 'kysely'
import { project as projectShape } from '../../shared/shapes/project.ts'
import {
  createMediaRoot,
  draw,
  FORM_TYPE,
  formOf,
  type FormPart,
  type MediaRoot,
  pixelsOf,
  pngOf,
} from '../files/media.ts'
import { interleave, untilWaiting } from '../support/interleave.ts'
import { startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL, SUE, OUT] = [1, 2, 3, 4]
const PICTURE = { width: 60, height: 40 }
const SEED = 20261130
const BODIES = 80
const PRESENT_YEAR = new Date(Date.now() + 8 * 3_600_000).getUTCFullYear()

describe('POST /projects/list', function () {
  this.timeout(60_000)
  let api: TestApi
  let media: MediaRoot

  before(async () => {
    media = await createMediaRoot()
    // Tables that Django creates have no defaults.
    api = await startTestApi({ madeByDjango: true, storage: media.storage })
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    await media[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await api.reset()
    await media.clear()
  })

  const create = (body: object, as = LEA) => api.send('POST', 'projects/list', { as, body })
  const createFromForm = (parts: readonly FormPart[], as = LEA) =>
    api.send('POST', 'projects/list', {
      as,
      body: formOf(parts),
      headers: { 'Content-Type': FORM_TYPE },
    })
  const partsOf = (fields: Readonly<Record<string, string>>): FormPart[] =>
    Object.entries(fields).map(([name, content]) => ({ name, content }))
  const image = (content: Buffer | string) => ({ name: 'imageData', filename: 'a.png', content })
  const minimal = { kind: 'science', title: 'Numbats', projectLead: LEA }

  /** Returns what the page of a project shows. */
  async function shown(id: unknown) {
    const { body } = await api.send('GET', `projects/${String(id)}`, { as: MEL })
    return body as Record<string, Record<string, unknown>>
  }

  /** Returns the number of rows of each table to which a creation adds rows. */
  async function countRows(): Promise<Record<string, unknown>> {
    const { rows } = await sql<Record<string, unknown>>`select
      (select count(*) from projects_project) as projects,
      (select count(*) from projects_projectarea) as areas,
      (select count(*) from projects_projectmember) as members,
      (select count(*) from projects_projectdetail) as details,
      (select count(*) from projects_studentprojectdetails) as student,
      (select count(*) from projects_externalprojectdetails) as external,
      (select count(*) from documents_projectdocument) as documents,
      (select count(*) from documents_conceptplan) as plans,
      (select count(*) from medias_projectphoto) as photos`.execute(api.db)
    return rows[0] ?? {}
  }

  it('creates a science project with all its rows and its photo from a form [T54]', async () => {
    const { status, headers, body } = await createFromForm([
      ...partsOf({
        kind: 'science',
        year: '2031',
        creator: String(SUE),
        title: ' <p>Numbats</p> ',
        description: 'About numbats',
        keywords: '["numbat", "termite"]',
        businessArea: '31',
        departmentalService: '203',
        dataCustodian: String(MEL),
        projectLead: String(SUE),
        startDate: '2031-01-31T16:00:00.000Z',
        endDate: '2032-02-28T00:00:00.000Z',
        locations: '202',
      }),
      { name: 'locations', content: '201' },
      image(await pngOf(PICTURE)),
    ])
    expect(status, JSON.stringify(body)).to.equal(201)
    const created = projectShape.parse(body)
    const { id } = created
    expect(headers['location']).to.equal(`/api/v1/projects/${id}`)
    expect(created).to.deep.include({
      kind: 'science',
      status: 'new',
      year: 2031,
      number: 1,
      title: '<p>Numbats</p>',
      description: 'About numbats',
      tagline: '',
      keywords: 'numbat, termite',
      // Midnight in Perth, and midnight in UTC.
      start_date: '2031-02-01',
      end_date: '2032-02-28',
      deletion_requested: false,
      hidden_from_staff_profiles: [],
    })
    expect(created.business_area?.id).to.equal(31)
    expect(created.areas.map((area) => area.id)).to.have.members([201, 202])

    const { project, details, documents, members } = await shown(id)
    expect(project).to.deep.equal(body)
    const user = (userId: number, username: string) => ({ id: userId, username })
    // The creator is the user who sends the request. The form names another one.
    expect(details?.['base']).to.deep.include({
      creator: user(LEA, 'lea'),
      modifier: user(LEA, 'lea'),
      owner: user(LEA, 'lea'),
      data_custodian: user(MEL, 'mel'),
      site_custodian: null,
      service: { id: 203, name: 'Wildlife' },
    })
    expect(details).to.deep.include({ student: [], external: [] })
    expect(documents).to.deep.include({ project_plan: null, project_closure: null })
    expect(documents?.['concept_plan']).to.deep.include({ status: 'new' })
    expect(members).to.have.length(1)
    const [leader] = members as unknown as Record<string, unknown>[]
    expect(leader).to.deep.include({ role: 'supervising', is_leader: true, position: 100 })
    expect(leader?.['user']).to.deep.include({ id: SUE })
    const document = await api.db
      .selectFrom('documents_projectdocument')
      .select(['kind', 'creator_id', 'modifier_id'])
      .where('project_id', '=', String(id))
      .executeTakeFirst()
    expect(document).to.deep.equal({ kind: 'concept', creator_id: '1', modifier_id: '1' })

    expect(created.image).to.deep.include({ uploader: user(LEA, 'lea') })
    const file = created.image?.file?.replace('/files/', '')
    expect(file).to.match(/^projects\/[\da-f-]{36}\.png$/)
    expect(await media.list()).to.deep.equal([file])
    const served = await api.send('GET', `/files/${file}`, { as: MEL })
    expect(created.image?.size).to.equal(served.bytes.length)
    expect((await pixelsOf(served.bytes)).data.equals(draw(PICTURE))).to.equal(true)
  })

  it('creates a core function with a concept plan, from the fewest fields [T54]', async () => {
    const { status, body } = await create({ ...minimal, kind: 'core_function', title: 'Fire' })
    expect(status).to.equal(201)
    const created = projectShape.parse(body)
    expect(created).to.deep.include({
      kind: 'core_function',
      title: 'Fire',
      year: PRESENT_YEAR,
      number: 1,
      description: '',
      keywords: '',
      start_date: null,
      end_date: null,
      business_area: null,
      areas: [],
      image: null,
    })
    const { documents, details } = await shown(created.id)
    expect(documents?.['concept_plan']).to.deep.include({ status: 'new' })
    expect(details?.['base']).to.deep.include({ data_custodian: null, service: null })
  })

  it('creates a student project from a form, without a concept plan [T54]', async () => {
    const { status, body } = await createFromForm(
      partsOf({
        ...minimal,
        projectLead: '1',
        kind: 'student',
        organisation: 'UWA; Curtin',
        level: 'msc',
        // Empty fields of a form are missing.
        businessArea: '',
        startDate: '',
        keywords: 'one,two',
        locations: '',
      }),
    )
    expect(status, JSON.stringify(body)).to.equal(201)
    const created = projectShape.parse(body)
    expect(created).to.deep.include({ kind: 'student', keywords: 'one, two', areas: [] })
    const { documents, details } = await shown(created.id)
    expect(documents?.['concept_plan']).to.equal(null)
    expect(details?.['student']).to.deep.include({ level: 'msc', organisation: 'UWA; Curtin' })
    expect(details?.['external']).to.deep.equal([])
  })

  it('creates an external project from JSON with the names of either client [T54]', async () => {
    const external = { collaboration_with: 'UWA', budget: '$1', aims: 'Aims' }
    const bodies = [
      {
        ...minimal,
        kind: 'external',
        externalDescription: 'Described',
        collaborationWith: 'UWA',
        budget: '$1',
        aims: 'Aims',
        businessArea: 32,
        locations: [201],
        startDate: '2031-05-06',
        keywords: ['a', 'b'],
      },
      {
        kind: 'external',
        title: 'Numbats',
        project_leader: LEA,
        business_area: 32,
        areas: [201],
        start_date: '2031-05-06',
        keywords: ['a', 'b'],
        external: { ...external, external_description: 'Described' },
        student: {},
      },
    ]
    for (const sent of bodies) {
      const { status, body } = await create(sent)
      expect(status, JSON.stringify(body)).to.equal(201)
      const created = projectShape.parse(body)
      expect(created).to.deep.include({ keywords: 'a, b', start_date: '2031-05-06' })
      expect(created.business_area?.id).to.equal(32)
      expect(created.areas.map((area) => area.id)).to.deep.equal([201])
      const { details, documents } = await shown(created.id)
      expect(details?.['external']).to.deep.include({ ...external, description: 'Described' })
      expect(details?.['student']).to.deep.equal([])
      expect(documents?.['concept_plan']).to.equal(null)
    }
  })

  it('is allowed for every user, whose account the transaction checks', async () => {
    expect((await api.send('POST', 'projects/list', { body: minimal })).status).to.equal(401)
    await sql`update users_user set is_staff = false where id = ${OUT}`.execute(api.db)
    expect((await create({ ...minimal, title: 'By Out' }, OUT)).status).to.equal(201)

    const before = await countRows()
    const { waiting } = await api.db.transaction().execute(async (trx) => {
      await sql`select from users_user where id = ${MEL} for update`.execute(trx)
      const waiting = createFromForm([
        ...partsOf({ ...minimal, projectLead: String(MEL) }),
        image(await pngOf(PICTURE)),
      ])
      await untilWaiting(api.db, 1)
      await sql`update users_user set is_active = false where id = ${LEA}`.execute(trx)
      return { waiting }
    })
    expect((await waiting).status).to.equal(401)
    expect(await countRows()).to.deep.equal(before)
    expect(await media.list()).to.deep.equal([])
  })

  it('numbers the projects of each year, also of concurrent creations', async () => {
    const numberOf = async (body: object) => projectShape.parse((await create(body)).body).number
    expect(await numberOf({ ...minimal, year: 2020 })).to.equal(5)
    expect(await numberOf({ ...minimal, year: 2044 })).to.equal(1)
    // Without the lock of the year both would have their number before either is committed.
    const numbers = await interleave(
      api.db,
      sql`lock table documents_projectdocument in share mode`,
      [() => numberOf({ ...minimal, year: 2044 }), () => numberOf({ ...minimal, year: 2044 })],
    )
    expect(numbers).to.have.members([2, 3])
  })

  it('rejects a year without a number left', async () => {
    await sql`update projects_project set number = 2147483647 where id = 51`.execute(api.db)
    const { status, body } = await create({ ...minimal, year: 2020 })
    expect(status).to.equal(409)
    expect(body).to.deep.include({ year: ['No project number is left in 2020.'] })
    expect((await create({ ...minimal, year: 2021 })).status).to.equal(201)
  })

  it('removes the photo and all rows if the transaction is rolled back', async () => {
    const before = await countRows()
    await sql`
      create function reject_photo() returns trigger language plpgsql as
        'begin raise exception ''rejected by the test''; end'
    `.execute(api.db)
    await sql`
      create constraint trigger reject_photo after insert on medias_projectphoto
        deferrable initially deferred for each row execute function reject_photo()
    `.execute(api.db)
    try {
      const parts = [
        ...partsOf({ ...minimal, projectLead: '1' }),
        image(await pngOf(PICTURE)),
      ] as const
      expect((await createFromForm(parts)).status).to.equal(500)
    } finally {
      await sql`drop function reject_photo cascade`.execute(api.db)
    }
    expect(await countRows()).to.deep.equal(before)
    expect(await media.list()).to.deep.equal([])
  })

  it('lists all invalid fields, and leaves nothing behind', async () => {
    const before = await countRows()
    const required = 'This field is required.'
    const fieldsIn = (body: unknown) => (body as { errors: Record<string, string[]> }).errors
    const wrong = await create({
      kind: 'odd',
      title: ' ',
      projectLead: 'Lea',
      year: -1,
      keywords: [5],
      businessArea: {},
      startDate: '31/12/2031',
      endDate: '9999-12-31T23:00:00Z',
      locations: [201, 201],
      imageData: 'https://spms.test/a.png',
      level: 'odd',
      budget: 'x'.repeat(1_001),
    })
    expect(wrong.status).to.equal(400)
    expect(fieldsIn(wrong.body)).to.have.all.keys(
      'kind',
      'title',
      'projectLead',
      'year',
      'keywords',
      'businessArea',
      'startDate',
      'endDate',
      'locations',
      'imageData',
      'level',
      'budget',
    )

    const missing = await create({
      ...minimal,
      projectLead: 99,
      dataCustodian: 98,
      businessArea: 97,
      departmentalService: 96,
      locations: [201, 95],
    })
    expect(missing.status).to.equal(400)
    const absent = (id: number) => [`Invalid pk "${id}" - object does not exist.`]
    expect(fieldsIn(missing.body)).to.deep.equal({
      projectLead: absent(99),
      dataCustodian: absent(98),
      businessArea: absent(97),
      departmentalService: absent(96),
      locations: absent(95),
    })

    const damaged = (await pngOf(PICTURE)).subarray(0, 60)
    const photo = await createFromForm([{ name: 'kind', content: 'science' }, image(damaged)])
    expect(photo.status).to.equal(400)
    expect(fieldsIn(photo.body)).to.deep.include({ title: [required], projectLead: [required] })
    expect(fieldsIn(photo.body)).to.have.all.keys('title', 'projectLead', 'imageData')

    const twice = [...partsOf({ ...minimal, projectLead: '1' }), { name: 'title', content: 'Two' }]
    expect(fieldsIn((await createFromForm(twice)).body)).to.have.all.keys('title')
    const misplaced = [
      ...partsOf({ kind: 'science', projectLead: '1' }),
      { ...image(await pngOf(PICTURE)), name: 'title' },
    ]
    expect(fieldsIn((await createFromForm(misplaced)).body)).to.have.all.keys('title')
    const late = [
      ...partsOf({ ...minimal, projectLead: '99' }),
      image(await pngOf(PICTURE)),
    ] as const
    expect(fieldsIn((await createFromForm(late)).body)).to.have.all.keys('projectLead')

    expect(await countRows()).to.deep.equal(before)
    expect(await media.list()).to.deep.equal([])
  })

  it(`answers ${BODIES} malformed bodies with 400, or with a project`, async () => {
    const photo = await pngOf({ width: 8, height: 8 })
    const names = [
      'kind',
      'title',
      'projectLead',
      'year',
      'keywords',
      'businessArea',
      'startDate',
      'locations',
      'imageData',
      'level',
      'external',
      'student',
      '__proto__',
    ]
    const value = fc.oneof(
      fc.constantFrom('1', '201', '31', 'student', 'phd', '2031-02-29', '2031-02-28T10:00:00Z', ''),
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.nat().map(String),
    )
    const part = fc.record({
      name: fc.oneof(fc.constantFrom(...names), fc.stringMatching(/^[\w-]{0,8}$/)),
      content: value,
    })
    const form = fc
      .record({
        parts: fc.oneof(fc.constant([]), fc.array(part, { maxLength: 4 })),
        isValid: fc.boolean(),
        cut: fc.constantFrom(1, 1, 1, 1, 0.3, 0.95),
        file: fc.constantFrom(null, photo, photo, photo.subarray(0, 40), Buffer.from('<svg/>')),
      })
      .map(({ parts, isValid, cut, file }) => {
        const body = formOf([
          ...(isValid ? partsOf({ ...minimal, projectLead: '1' }) : []),
          ...parts,
          ...(file ? [image(file)] : []),
        ])
        return body.subarray(0, Math.floor(cut * body.length))
      })
    const json = fc
      .tuple(
        fc.constantFrom({}, minimal),
        fc.dictionary(fc.constantFrom(...names), fc.oneof(value, fc.jsonValue({ maxDepth: 2 })), {
          maxKeys: 6,
        }),
      )
      .map((objects) => Object.assign({}, ...objects) as object)
    const statuses = new Set<number>()
    await fc.assert(
      fc.asyncProperty(fc.oneof(form, json), async (body) => {
        const isForm = Buffer.isBuffer(body)
        const headers = isForm ? { headers: { 'Content-Type': FORM_TYPE } } : {}
        const answer = await api.send('POST', 'projects/list', { as: LEA, body, ...headers })
        statuses.add(answer.status)
        expect(answer.status).to.be.oneOf([201, 400])
        if (answer.status === 201) projectShape.parse(answer.body)
      }),
      { seed: SEED, numRuns: BODIES, endOnFailure: true },
    )
    // Valid bodies among the malformed ones.
    expect([...statuses]).to.have.members([201, 400])
    const { rows } = await sql<{ file: string }>`
      select file from medias_projectphoto where id not in (216, 217) order by file
    `.execute(api.db)
    expect(await media.list()).to.deep.equal(rows.map(({ file }) => file))
    expect(rows).to.have.length.above(0)
  })
})
