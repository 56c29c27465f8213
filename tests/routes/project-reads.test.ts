import { expect } from 'chai'
import { z } from 'zod'
import { projectDocument } from '../../shared/shapes/document.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import { projectDetail } from '../../shared/shapes/project-detail.ts'
import { projectRow } from '../../shared/shapes/project-row.ts'
import { projectStatistics } from '../../shared/shapes/project-statistics.ts'
import { startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL, OUT, OLD] = [1, 2, 4, 5]
const TOO_BIG = '9223372036854775808'

describe('reads of projects over HTTP', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi()
    await api.reset()
  })
  after(() => api[Symbol.asyncDispose]())

  const get = (path: string, as = OUT) => api.send('GET', path, { as })

  const rowsIn = async (table: 'projects_project' | 'documents_projectdocument') => {
    const rows = await api.db.selectFrom(table).select('id').execute()
    return rows.length
  }

  it('require a session', async () => {
    for (const path of [
      'projects/51',
      'projects/statistics',
      'users/1/projects',
      'projects/listofyears',
      'projects/51/project_docs',
      'projects/51/team',
      'projects/project_members/51/1',
      'projects/project_members/51/leader',
    ]) {
      const { status, headers } = await get(path)
      expect(status, path).to.equal(200)
      expect(headers).to.include({ 'cache-control': 'private, no-store' })
      expect((await api.send('HEAD', path, { as: OUT })).status).to.equal(200)
      expect((await api.send('GET', path)).status).to.equal(401)
      expect((await get(path, OLD)).status).to.equal(401)
      expect((await get(`${path}/`)).status).to.equal(404)
      expect((await api.send('PATCH', path, { as: OUT, body: {} })).status).to.equal(405)
    }
  })

  it('show the details of a project, and answer 404 for a missing one [T51]', async () => {
    const { status, headers, body } = await get('projects/51')
    expect(status).to.equal(200)
    expect(headers).to.include({ 'cache-status': 'spms; fwd=bypass; detail=off' })
    const { project, details, documents, members } = projectDetail.parse(body)
    expect(project).to.deep.include({ id: 51, deletion_request_id: null, areas: [] })
    expect(details).to.deep.equal({ base: null, external: [], student: [] })
    expect(documents.concept_plan).to.equal(null)
    expect(members?.map(({ user, role }) => [user.id, role])).to.deep.equal([
      [LEA, 'supervising'],
      [MEL, 'research'],
      [OLD, 'research'],
    ])
    const unknown = await get('projects/999')
    expect(unknown.status).to.equal(404)
    expect(unknown.body).to.include({ detail: 'Project 999 not found' })
  })

  it('count each project and document once in every statistic', async () => {
    const counts = projectStatistics.parse((await get('projects/statistics')).body)
    const projects = await rowsIn('projects_project')
    expect(counts.total_projects).to.equal(projects)
    expect(sum(Object.values(counts.by_status))).to.equal(projects)
    expect(sum(Object.values(counts.by_kind))).to.equal(projects)
    expect(sum(counts.by_year.map(({ count }) => count))).to.equal(projects)
    expect(sum(counts.by_business_area.map(({ count }) => count))).to.equal(projects)
    const documents = await rowsIn('documents_projectdocument')
    expect(sum(Object.values(counts.documents.by_kind))).to.equal(documents)
    expect(sum(Object.values(counts.documents.by_status))).to.equal(documents)
  })

  it('list the projects of a user with the role of the user [T42]', async () => {
    const rows = z.array(projectRow).parse((await get('users/2/projects')).body)
    expect(rows.map(({ id, role, tag }) => [id, role, tag])).to.deep.equal([
      [51, 'research', 'SP-2020-1'],
      [52, 'research', 'SP-2020-2'],
    ])
    expect((await get('users/4/projects')).body).to.deep.equal([])
    expect((await get('users/999/projects')).body).to.deep.equal([])
  })

  it('list each year once, newest first [T62]', async () => {
    await api.db
      .updateTable('projects_project')
      .set({ year: 2022 })
      .where('id', '=', '52')
      .execute()
    expect((await get('projects/listofyears')).body).to.deep.equal([2022, 2020])
    await api.reset()
    expect((await get('projects/listofyears')).body).to.deep.equal([2020])
  })

  it('list the documents of a project, newest first [T64]', async () => {
    const { body } = await get('projects/51/project_docs')
    const [plan, concept, ...others] = z.array(projectDocument).parse(body)
    expect(others).to.deep.equal([])
    expect(plan).to.deep.include({ id: 58, kind: 'projectplan', creator: null, pdf: null })
    expect(concept).to.deep.include({
      id: 57,
      creator: 1,
      modifier: 2,
      status: 'approved',
      created_at: '2020-01-01T08:00:00+08:00',
      pdf: { id: 59, file: '/files/project_documents/57.pdf', document: 57, project: 51 },
    })
    expect(concept?.project.title).to.equal('Orchids')
    expect((await get('projects/52/project_docs')).body).to.deep.equal([])
    expect((await get('projects/999/project_docs')).body).to.deep.equal([])
  })

  it('list the team of a project, ordered by position [T56]', async () => {
    const team = z.array(tinyMember).parse((await get('projects/51/team')).body)
    expect(team.map(({ user }) => user.id)).to.deep.equal([LEA, MEL, OLD])
    expect(team[0]).to.deep.include({ id: 53, role: 'supervising', time_allocation: 0.5 })
    expect((await get('projects/999/team')).body).to.deep.equal([])
  })

  it('show one member of a project [T55]', async () => {
    const member = tinyMember.parse((await get('projects/project_members/51/2')).body)
    expect(member).to.include({ id: 54, is_leader: false, role: 'research' })
    expect(member.user.id).to.equal(MEL)
    const { status, body } = await get('projects/project_members/51/4')
    expect(status).to.equal(404)
    expect(body).to.include({ detail: 'Member not found for project 51 and user 4' })
  })

  it('show the first leader of a project, and answer 404 without a leader [T56]', async () => {
    const leader = tinyMember.parse((await get('projects/project_members/51/leader')).body)
    expect(leader).to.include({ id: 53, is_leader: true })
    const { status, body } = await get('projects/project_members/52/leader')
    expect(status).to.equal(404)
    expect(body).to.include({ detail: 'Leader not found for project 52' })
  })

  it('answer 404 for an invalid id', async () => {
    for (const id of [TOO_BIG, 'x', '-1']) {
      for (const path of [
        `projects/${id}`,
        `users/${id}/projects`,
        `projects/${id}/project_docs`,
        `projects/${id}/team`,
        `projects/project_members/${id}/1`,
        `projects/project_members/51/${id}`,
        `projects/project_members/${id}/leader`,
      ]) {
        expect((await get(path)).status, path).to.equal(404)
      }
    }
  })
})

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)
