import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findProject } from '../../db/queries/project.ts'
import {
  findFirstProjects,
  findMapOutline,
  findProjectsById,
  type ProjectFilter,
  searchProjects,
} from '../../db/queries/project-search.ts'
import type { Database } from '../../db/schema.ts'
import { project } from '../../shared/shapes/project.ts'
import { projectPage } from '../../shared/shapes/search.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { ACTIVE, STOPPED } from '../support/project-statuses.ts'
import { readTables, type Row, type Tables } from '../support/tables.ts'

describe('project search', function () {
  this.timeout(60_000)

  let database: TestDatabase
  let db: Kysely<Database>
  let tables: Tables

  before(async () => {
    database = await createTestDatabase({ seeded: true })
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'project-search-test' })
    await db
      .updateTable('projects_project')
      .set({ status: 'odd', title: '100% \\_o' })
      .where('id', '=', '7')
      .execute()
    tables = await readTables(db, [
      'projects_project',
      'projects_projectarea',
      'projects_projectmember',
    ])
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  const has = (column: string, term: string) => (row: Row) =>
    String(row[column] ?? '')
      .toLowerCase()
      .includes(term.toLowerCase())
  const mentions = (term: string) => (row: Row) =>
    ['title', 'description', 'tagline', 'keywords', 'number'].some((it) => has(it, term)(row))

  const memberOf = (userId: number) => {
    const ids = tables
      .all('projects_projectmember', 'user_id', userId)
      .map(({ project_id }) => project_id)
    return (row: Row) => ids.includes(row['id'] ?? null)
  }

  const idsWhere = (passes: (row: Row) => boolean) =>
    tables
      .every('projects_project')
      .filter(passes)
      .toSorted(
        (a, b) =>
          Number(STOPPED.includes(String(a['status']))) -
            Number(STOPPED.includes(String(b['status']))) ||
          Number(b['year']) - Number(a['year']) ||
          Number(a['id']) - Number(b['id']),
      )
      .map(({ id }) => String(id))

  const idsFound = async (filter: ProjectFilter) => (await findMapOutline(db, filter)).ids

  it('finds projects that pass every filter, ordered by running first and then by year [T70]', async () => {
    const row = tables.every('projects_project')[40] as Row
    const [year, number, area] = [
      Number(row['year']),
      Number(row['number']),
      row['business_area_id'],
    ]
    const filters: readonly (readonly [ProjectFilter, (row: Row) => boolean])[] = [
      [{}, () => true],
      [
        { searchTerm: String(row['title']).slice(3, 12) },
        mentions(String(row['title']).slice(3, 12)),
      ],
      [{ searchTerm: 'THE' }, mentions('the')],
      [{ searchTerm: '12' }, mentions('12')],
      [{ searchTerm: '100%' }, mentions('100%')],
      [{ searchTerm: '\\_' }, mentions('\\_')],
      [
        { searchTerm: `sp-${year}-${number}` },
        (it) =>
          it['kind'] === 'science' && it['year'] === year && has('number', String(number))(it),
      ],
      [{ searchTerm: `CF-${year}` }, (it) => it['kind'] === 'core_function' && it['year'] === year],
      [{ searchTerm: 'stp-20x-1' }, (it) => it['kind'] === 'student' && has('number', '1')(it)],
      [{ searchTerm: 'ext-' }, (it) => it['kind'] === 'external'],
      [{ searchTerm: `ext-${year}-x` }, (it) => it['kind'] === 'external' && it['year'] === year],
      [{ searchTerm: 'xt-2020' }, mentions('xt-2020')],
      [{ member: '20' }, memberOf(20)],
      [
        { businessAreas: ['1', '2'] },
        (it) => it['business_area_id'] === 1 || it['business_area_id'] === 2,
      ],
      [{ businessAreas: [] }, () => false],
      [{ status: 'unknown' }, (it) => it['id'] === 7],
      [{ status: 'active' }, (it) => it['status'] === 'active'],
      [{ kind: 'student' }, (it) => it['kind'] === 'student'],
      [{ year }, (it) => it['year'] === year],
      [{ isActive: true }, (it) => ACTIVE.includes(String(it['status']))],
      [{ isActive: false }, (it) => !ACTIVE.includes(String(it['status']))],
      [
        { kind: 'science', businessAreas: [String(area)], isActive: true, searchTerm: 'a' },
        (it) =>
          it['kind'] === 'science' &&
          it['business_area_id'] === area &&
          ACTIVE.includes(String(it['status'])) &&
          mentions('a')(it),
      ],
    ]
    for (const [filter, passes] of filters) {
      expect(await idsFound(filter), JSON.stringify(filter)).to.deep.equal(idsWhere(passes))
    }
    expect(await idsFound({ searchTerm: '100%' })).to.deep.equal(['7'])
  })

  it('returns pages of projects in their full shape [T50]', async () => {
    const all = idsWhere(() => true)
    for (const page of [1, 2, Math.ceil(all.length / 24), 1000]) {
      const { body } = await searchProjects(db, {}, { page, pageSize: 24 })
      const found = projectPage.parse(JSON.parse(body))
      const expected = all.slice((page - 1) * 24, page * 24)
      expect(found.projects.map(({ id }) => String(id))).to.deep.equal(expected)
      expect(found).to.include({
        total_results: all.length,
        total_pages: Math.ceil(all.length / 24),
      })
      const [first] = expected
      if (first === undefined) continue
      expect(found.projects[0]).to.deep.equal(JSON.parse((await findProject(db, first)) ?? ''))
    }
  })

  it('returns the first projects in their short shape [T67]', async () => {
    const found = tinyProject
      .array()
      .parse(JSON.parse(await findFirstProjects(db, { searchTerm: 'a' }, 20)))
    const expected = idsWhere(mentions('a')).slice(0, 20)
    expect(found.map(({ id }) => String(id))).to.deep.equal(expected)
  })

  it('counts all projects and those without a location for the map, regardless of the filter [T66]', async () => {
    const { total, withoutLocation } = await findMapOutline(db, { kind: 'student' })
    const located = tables
      .every('projects_projectarea')
      .filter(({ areas }) => Array.isArray(areas) && areas.length > 0)
    const all = tables.every('projects_project').length
    expect({ total, withoutLocation }).to.deep.equal({
      total: all,
      withoutLocation: all - located.length,
    })
    expect(withoutLocation).to.be.above(0)
  })

  it('returns projects in the order of the given ids, without deleted ones', async () => {
    const found = await findProjectsById(db, ['9', '999999999', '3'])
    const shown = project.array().parse(JSON.parse(`[${found}]`))
    expect(shown.map(({ id }) => id)).to.deep.equal([9, 3])
    expect(shown[0]).to.deep.equal(JSON.parse((await findProject(db, '9')) ?? ''))
    expect(await findProjectsById(db, [])).to.be.null
  })
})
