import { expect } from 'chai'
import { type Kysely, sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { openDatabase } from '../../db/database.ts'
import type { Database } from '../../db/schema.ts'
import type { Params } from '../../shared/cache/index.ts'
import {
  affiliations,
  areas,
  branches,
  businessAreas,
  projectDetail,
  projectStatistics,
  staffList,
  staffListVariant,
  staffProfile,
  staffProjects,
  userProjects,
} from '../../shared/resources/index.ts'
import { affiliation } from '../../shared/shapes/affiliation.ts'
import { area } from '../../shared/shapes/area.ts'
import { branch } from '../../shared/shapes/branch.ts'
import { businessArea } from '../../shared/shapes/business-area.ts'
import * as projectShapes from '../../shared/shapes/project-detail.ts'
import { ownProject, projectRow, publicProjectRow } from '../../shared/shapes/project-row.ts'
import * as statisticsShapes from '../../shared/shapes/project-statistics.ts'
import * as shapes from '../../shared/shapes/staff-profile.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { readTables, type Row, type Tables } from '../support/tables.ts'
import { createExpected, EXPECTED_TABLES } from './expected.ts'
import { createExpectedProject, EXPECTED_PROJECT_TABLES } from './expected-project.ts'
import type { Resource } from '../../shared/resources/cache.ts'

const PAGE_SIZE = 24
const EVERY_NTH_USER = 20
const EVERY_NTH_PROJECT = 40

describe('answers of resource loaders', function () {
  this.timeout(60_000)

  let database: TestDatabase
  let db: Kysely<Database>
  let tables: Tables
  let expected: ReturnType<typeof createExpected>
  let expectedProject: ReturnType<typeof createExpectedProject>

  before(async () => {
    database = await createTestDatabase({ seeded: true })
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'content-test' })
    tables = await readTables(db, [...EXPECTED_TABLES, ...EXPECTED_PROJECT_TABLES])
    expected = createExpected(tables)
    expectedProject = createExpectedProject(tables, expected)
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  it('list every visible member of staff once, ordered by name', async () => {
    const listed = await listedInOrder()
    const pages = await readPages({}, listed.length)
    expect(pages).to.deep.equal(listed.map(expected.staffRow))
  })

  it('list the visible members of staff of a business area', async () => {
    const listed = await listedInOrder()
    for (const area of tables.every('agencies_businessarea')) {
      const colleagues = listed.filter((profile) => expected.worksIn(profile) === area['id'])
      const pages = await readPages({ businessArea: String(area['id']) }, colleagues.length)
      expect(pages).to.deep.equal(colleagues.map(expected.staffRow))
    }
  })

  it('are empty and not cacheable for a page past the end and for an area without staff', async () => {
    for (const [variant, total] of [
      ['page=1000', (await listedInOrder()).length],
      [`page=${Number.MAX_VALUE}`, (await listedInOrder()).length],
      ['business_area=9223372036854775807;page=1', 0],
    ] as const) {
      const answer = await load(staffList, {}, variant)
      expect(answer).to.have.property('cacheable', false)
      expect(JSON.parse(answer?.body ?? '')).to.deep.equal({
        profiles: [],
        total_results: total,
        total_pages: Math.ceil(total / PAGE_SIZE),
      })
    }
  })

  for (const [variant, shape] of [
    ['full', shapes.staffProfile],
    ['hero', shapes.staffHero],
    ['overview', shapes.staffOverview],
    ['cv', shapes.staffCv],
  ] as const) {
    it(`equal the tables for staff profiles (${variant}), and are null for hidden profiles`, async () => {
      for (const profile of tables.every('users_publicstaffprofile')) {
        const body = await read(staffProfile, { profile_id: String(profile['id']) }, variant)
        expect(body).to.deep.equal(expected.isVisible(profile) ? expected[variant](profile) : null)
        if (body !== null) shape.parse(body)
      }
    })
  }

  it('equal the tables for public projects, and are null without a visible profile', async () => {
    const visible = tables.every('users_publicstaffprofile').filter(expected.isVisible)
    const users = someUsers()
    const shown = users.filter(({ id }) => visible.some((profile) => profile['user_id'] === id))
    expect(shown.length).to.be.within(1, users.length - 1)
    for (const user of users) {
      const body = await read(staffProjects, { user_id: String(user['id']) }, 'rows')
      expect(body).to.deep.equal(
        shown.includes(user) ? expected.publicProjectRows(user['id']) : null,
      )
      if (body !== null) z.array(publicProjectRow).parse(body)
    }
  })

  it('equal the tables for the projects of a user', async () => {
    for (const user of someUsers()) {
      const params = { user_id: String(user['id']) }
      const mine = await read(userProjects, params, 'mine')
      expect(mine).to.deep.equal(expected.ownProjects(user['id']))
      z.array(ownProject).parse(mine)
      const rows = await read(userProjects, params, 'rows')
      expect(rows).to.deep.equal(expected.projectRows(user['id']))
      z.array(projectRow).parse(rows)
    }
  })

  it('equal the tables for a project, also if its rows are missing or duplicated', async () => {
    for (const project of someProjects()) {
      const body = await read(projectDetail, { project_id: String(project['id']) }, 'full')
      expect(body).to.deep.equal(expectedProject.detail(project))
      projectShapes.projectDetail.parse(body)
    }
    expect(await load(projectDetail, { project_id: '999999' }, 'full')).to.equal(null)
  })

  it('equal the counted rows for the statistics', async () => {
    const body = await read(projectStatistics, {}, 'all')
    const { by_business_area: areas, ...counts } = expectedProject.statistics()
    const shown = statisticsShapes.projectStatistics.parse(body)
    expect(shown).to.deep.include(counts)
    expect(shown.by_business_area).to.have.deep.members(areas)
    const ids = await idsByName('agencies_businessarea')
    const counted = ids.filter((id) => areas.some((area) => area.id === id))
    expect(shown.by_business_area.map(({ id }) => id)).to.deep.equal([...counted, null])
  })

  it('list all branches and business areas ordered by name', async () => {
    const branchBody = z.array(branch).parse(await read(branches, {}, 'all'))
    expect(branchBody).to.have.deep.members(expected.branches())
    expect(idsOf(branchBody)).to.deep.equal(await idsByName('agencies_branch'))
    const areaBody = z.array(businessArea).parse(await read(businessAreas, {}, 'all'))
    expect(areaBody).to.have.deep.members(expected.businessAreas())
    expect(idsOf(areaBody)).to.deep.equal(await idsByName('agencies_businessarea'))
  })

  it('list all affiliations and areas ordered by name, also areas of one type', async () => {
    const affiliationBody = z.array(affiliation).parse(await read(affiliations, {}, 'all'))
    expect(affiliationBody).to.have.deep.members(expected.affiliations())
    expect(idsOf(affiliationBody)).to.deep.equal(await idsByName('agencies_affiliation'))
    const areaBody = z.array(area).parse(await read(areas, {}, 'all'))
    expect(areaBody).to.have.deep.members(expected.areas())
    expect(idsOf(areaBody)).to.deep.equal(await idsByName('locations_area'))
    for (const type of ['dbcaregion', 'dbcadistrict', 'ibra', 'imcra', 'nrm']) {
      const ofType = z.array(area).parse(await read(areas, {}, type))
      expect(ofType).to.deep.equal(areaBody.filter(({ area_type }) => area_type === type))
    }
  })

  it('never contain a user name or log-in e-mail address if they are public', async () => {
    const secrets = tables
      .every('users_user')
      .flatMap(({ username, email }) => [username, email])
      .filter((secret) => typeof secret === 'string' && secret.includes('@'))
    expect(secrets).to.have.length.above(100)
    const bodies = [await load(staffList, {}, 'page=1')]
    for (const { id, user_id } of tables.every('users_publicstaffprofile').slice(0, 50)) {
      bodies.push(await load(staffProfile, { profile_id: String(id) }, 'full'))
      bodies.push(await load(staffProjects, { user_id: String(user_id) }, 'rows'))
    }
    const text = bodies.map((answer) => answer?.body ?? '').join('\n')
    expect(secrets.filter((secret) => text.includes(String(secret)))).to.deep.equal([])
  })

  it('have the same bytes under any session settings', async () => {
    const profile = tables
      .every('users_publicstaffprofile')
      .find(
        (row) => expected.isVisible(row) && expected.publicProjectRows(row['user_id']).length > 0,
      )
    const params = { user_id: String(profile?.['user_id']) }
    const loadRows = (trx: Transaction<Database>) => staffProjects.load(trx, params, 'rows')

    const plain = await db.transaction().execute(loadRows)
    const strange = await db.transaction().execute(async (trx) => {
      await sql`set local time zone 'America/New_York'`.execute(trx)
      await sql`set local datestyle to 'SQL, DMY'`.execute(trx)
      return loadRows(trx)
    })
    expect(plain?.body).to.match(/"created_at":"\d{4}-/)
    expect(strange).to.deep.equal(plain)
  })

  it('keep every digit of a 64-bit id', async () => {
    const answer = await db.transaction().execute(async (trx) => {
      await sql`
        insert into agencies_branch (id, name, created_at, updated_at)
        values (9007199254740993, 'Far away', now(), now())
      `.execute(trx)
      const found = await branches.load(trx, {}, 'all')
      await sql`delete from agencies_branch where id = 9007199254740993`.execute(trx)
      return found
    })
    expect(answer?.body).to.include('{"id":9007199254740993,"name":"Far away"')
  })

  async function load(resource: Resource, params: Params, variant: string) {
    return db.transaction().execute((trx) => resource.load(trx, params, variant))
  }

  async function read(resource: Resource, params: Params, variant: string): Promise<unknown> {
    const answer = await load(resource, params, variant)
    return answer && JSON.parse(answer.body)
  }

  /** Returns the rows of all pages, and expects `total` in each page. */
  async function readPages(filter: { businessArea?: string }, total: number): Promise<unknown[]> {
    const pages = Array.from({ length: Math.ceil(total / PAGE_SIZE) }, async (_, index) => {
      const variant = staffListVariant({ ...filter, page: index + 1 })
      const page = shapes.staffPage.parse(await read(staffList, {}, variant))
      expect(page.total_results).to.equal(total)
      expect(page.total_pages).to.equal(Math.ceil(total / PAGE_SIZE))
      return page.profiles
    })
    return (await Promise.all(pages)).flat()
  }

  /** Returns the profiles of the staff list. Postgres orders the names by its collation. */
  async function listedInOrder(): Promise<Row[]> {
    const { rows } = await sql<{ id: number }>`
      select p.id::int as id
      from users_publicstaffprofile p
      join users_user u on u.id = p.user_id
      order by u.display_last_name, u.display_first_name, p.id
    `.execute(db)
    return rows
      .flatMap(({ id }) => tables.all('users_publicstaffprofile', 'id', id))
      .filter((profile) => expected.isVisible(profile) && expected.isListed(profile))
  }

  async function idsByName(
    table: 'agencies_affiliation' | 'agencies_branch' | 'agencies_businessarea' | 'locations_area',
  ) {
    const { rows } = await sql<{ id: number }>`
      select id::int as id from ${sql.table(table)} order by name, id
    `.execute(db)
    return idsOf(rows)
  }

  /** Returns a sample of projects, and all projects with missing or duplicate rows. */
  function someProjects(): Row[] {
    const of = (table: 'projects_projectdetail' | 'projects_projectarea', { id }: Row) =>
      tables.all(table, 'project_id', id).length
    return tables
      .every('projects_project')
      .filter(
        (project, index) =>
          index % EVERY_NTH_PROJECT === 0 ||
          of('projects_projectdetail', project) > 1 ||
          of('projects_projectarea', project) === 0,
      )
  }

  /** Returns users with many, few and no projects, with and without a profile. */
  function someUsers(): Row[] {
    const count = new Map<unknown, number>()
    for (const { user_id } of tables.every('projects_projectmember')) {
      count.set(user_id, (count.get(user_id) ?? 0) + 1)
    }
    return tables
      .every('users_user')
      .toSorted((a, b) => (count.get(b['id']) ?? 0) - (count.get(a['id']) ?? 0))
      .filter((_, index) => index % EVERY_NTH_USER === 0)
  }
})

const idsOf = (rows: readonly { readonly id: number }[]) => rows.map(({ id }) => id)
