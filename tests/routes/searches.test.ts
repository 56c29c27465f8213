import { expect } from 'chai'
import { sql } from 'kysely'
import { documentPage, projectMap, projectPage, userPage } from '../../shared/shapes/search.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { tinyUser } from '../../shared/shapes/tiny-user.ts'
import { expectForUsersOnly, startReadApi } from './read-api.ts'
import type { TestApi } from './test-api.ts'

const [LIN, ODA, ZED] = [1201, 1204, 1205]

describe('searches over HTTP', () => {
  let api: TestApi

  before(async () => {
    api = await startReadApi()
    await sql`
      insert into projects_project
        (id, created_at, updated_at, kind, status, year, number, title, deletion_requested,
         hidden_from_staff_profiles)
      select id, '2020-01-01', '2020-01-01', 'student', 'completed', 1990, id, 'Many ' || id, false, '{}'
      from generate_series(2001, 2250) as id
    `.execute(api.db)
    await sql`
      insert into agencies_branch (id, created_at, updated_at, name, agency_id)
      values (2001, '2020-01-01', '2020-01-01', 'Albany', 11)
    `.execute(api.db)
    await sql`update users_userwork set branch_id = 2001 where user_id = 1202`.execute(api.db)
  })
  after(() => api[Symbol.asyncDispose]())

  const get = (path: string) => api.send('GET', path, { as: LIN })
  /** Returns the ids of rows that `read-world.sql` and this test inserted. */
  const idsIn = (found: readonly { readonly id: number }[]) =>
    found.map(({ id }) => id).filter((id) => id > 1000)

  it('require a session', async () => {
    for (const path of [
      'projects/list',
      'projects/smallsearch',
      'projects/map',
      'users/list',
      'users/smallsearch',
      'users/check-email-exists?email=x',
      'users/check-name-exists?username=x',
      'documents/projectdocuments',
    ]) {
      await expectForUsersOnly(api, path)
    }
  })

  it('list projects by any filter [T50, T70]', async () => {
    for (const [query, ids] of [
      ['searchTerm=QUOKKAS', [1251]],
      ['searchTerm=sp-2020-972', [1252]],
      ['selected_user=1202', [1251, 1252]],
      ['businessarea=1009,1010', [1251]],
      ['businessarea=1009', [1251]],
      ['projectstatus=active', [1251, 1252]],
      ['projectstatus=unknown', []],
      ['projectkind=science&year=2020', [1251, 1252]],
      ['only_active=false', [1251, 1252]],
      ['only_active=1&only_inactive=1', [1251, 1252]],
      ['only_inactive=1&searchTerm=many 2001', [2001]],
      ['searchTerm=quokkas&businessarea=All&projectstatus=All&projectkind=All&year=All', [1251]],
      ['selected_user=1202&page_size=1&page=x', [1251]],
    ] as const) {
      const { status, headers, body } = await get(`projects/list?${query.replaceAll(' ', '%20')}`)
      expect(status, query).to.equal(200)
      expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=search')
      expect(idsIn(projectPage.parse(body).projects), query).to.deep.equal(ids)
    }
    const { total_pages, total_results } = projectPage.parse((await get('projects/list')).body)
    expect(total_results).to.be.at.least(252)
    expect(total_pages).to.equal(Math.ceil(total_results / 24))
    const last = projectPage.parse((await get(`projects/list?page=${total_pages}`)).body)
    expect(last.projects).to.have.length(total_results - 24 * (total_pages - 1))
  })

  it('return the first projects [T67]', async () => {
    const found = tinyProject.array().parse((await get('projects/smallsearch')).body)
    expect(found).to.have.length(20)
    const listed = projectPage.parse((await get('projects/list?page_size=20')).body)
    expect(idsIn(found)).to.deep.equal(idsIn(listed.projects))
    expect((await get('projects/smallsearch?year=1900')).body).to.deep.equal([])
  })

  it('return all matching projects for the map in several chunks [T66]', async () => {
    const { headers, body } = await get('projects/map')
    const map = projectMap.parse(body)
    expect(headers).to.include({ 'transfer-encoding': 'chunked' })
    const listed = []
    for (let page = 1; page <= Math.ceil(map.total_projects / 100); page += 1) {
      const { body: part } = await get(`projects/list?page_size=100&page=${page}`)
      listed.push(...projectPage.parse(part).projects)
    }
    expect(map.projects).to.deep.equal(listed)
    expect(map.projects).to.have.length(map.total_projects).and.length.above(250)
    expect(map.projects_without_location).to.be.within(250, map.total_projects)

    const { total_projects, projects_without_location } = map
    const none = await get('projects/map?year=1900&locations=1,2')
    expect(none.body).to.deep.equal({ projects: [], total_projects, projects_without_location })
    const one = projectMap.parse((await get('projects/map?searchTerm=quokkas')).body)
    expect(idsIn(one.projects)).to.deep.equal([1251])
  })

  it('list users by any filter [T10, T20]', async () => {
    for (const [query, ids] of [
      ['page_size=100', [1201, 1202, 1203, 1204, 1205]],
      ['search=LIN', [1201]],
      ['search=lin%20fo', [1201]],
      ['search=_', []],
      ['search=reads.test&is_active=False', [1205]],
      ['search=reads.test&is_active=1', [1201, 1202, 1203, 1204]],
      ['search=reads.test&is_superuser=true', [1203, 1205]],
      ['search=reads.test&only_superuser=true&is_active=t', [1203]],
      ['search=reads.test&only_staff=true', [1201, 1202, 1203, 1205]],
      ['search=reads.test&only_external=true', [1204]],
      ['search=reads.test&is_staff=0', [1204]],
      ['search=reads.test&only_external=false&only_staff=false', [1201, 1202, 1203, 1204, 1205]],
      ['only_ba_lead=true', [1202]],
      ['business_area=1009', [1201, 1202]],
      ['businessArea=1009&ignoreArray=1202,,7', [1201]],
      ['search=reads.test&page_size=2&page=2', [1203, 1204]],
    ] as const) {
      const { status, body } = await get(`users/list?${query}`)
      expect(status, query).to.equal(200)
      expect(idsIn(userPage.parse(body).users), query).to.deep.equal(ids)
    }
  })

  it('read only the first pages of users without a search through the cache', async () => {
    for (const [query, detail] of [
      ['', 'off'],
      ['?page=8&only_staff=true&search=&businessArea=All', 'off'],
      ['?only_external=true&only_staff=false', 'off'],
      ['?is_superuser=1', 'off'],
      ['?only_ba_lead=true&page_size=24', 'off'],
      ['?page=9&only_staff=true', 'search'],
      ['?only_staff=true&search=a', 'search'],
      ['?only_staff=true&page_size=10', 'search'],
      ['?only_staff=true&only_superuser=true', 'search'],
      ['?business_area=1009', 'search'],
      ['?ignoreArray=1201', 'search'],
      ['?is_active=true', 'search'],
    ] as const) {
      const { headers } = await get(`users/list${query}`)
      expect(headers['cache-status'], query).to.equal(`spms; fwd=bypass; detail=${detail}`)
    }
  })

  it('show the branch, the role and the led business areas of a user', async () => {
    const { body } = await get('users/list?search=max@reads.test')
    const area = (id: number, name: string) => ({
      id,
      name,
      leader: { id: 1202 },
      caretaker: null,
      image: null,
    })
    expect(userPage.parse(body).users[0]).to.deep.include({
      branch: { id: 2001, name: 'Albany', agency: 11, manager: null },
      role: 'None',
      business_areas_led: [
        { ...area(1010, 'Botany'), project_count: 0, division: null },
        {
          ...area(1009, 'Zoology'),
          project_count: 1,
          division: { id: 1003, name: 'Science', slug: 's' },
        },
      ],
    })
    const others = userPage.parse((await get('users/list?search=oda@reads.test')).body).users
    expect(others[0]).to.deep.include({ branch: null, role: null, business_areas_led: [] })
  })

  it('return the first users for a term of at least two letters [T18]', async () => {
    expect((await get('users/smallsearch?search=r')).body).to.deep.equal([])
    expect((await get('users/smallsearch')).body).to.deep.equal([])
    const found = tinyUser.array().parse((await get('users/smallsearch?search=Reads.t')).body)
    expect(idsIn(found)).to.deep.equal([1201, 1202, 1203, 1204, 1205])
  })

  it('never return a password', async () => {
    for (const path of ['users/list', 'users/smallsearch?search=Reads.t', 'projects/list']) {
      expect(JSON.stringify((await get(path)).body)).not.to.match(/password|hash-/)
    }
  })

  it('find documents by kind, project, status and year', async () => {
    const { body } = await get(
      'documents/projectdocuments?kind=concept&project=1251&status=approved',
    )
    expect(idsIn(documentPage.parse(body).documents)).to.deep.equal([1257])
    const { body: none } = await get('documents/projectdocuments?year=1999&kind=All')
    expect(none).to.deep.equal({ documents: [], total_results: 0, total_pages: 0 })
  })

  it('reject invalid filters with 400', async () => {
    for (const query of [
      'projects/list?projectstatus=odd',
      'projects/list?projectkind=odd',
      'projects/list?year=x',
      'projects/list?year=99999999999',
      'projects/list?selected_user=x',
      'projects/map?businessarea=1,x',
      'projects/map?businessarea=9223372036854775808',
      'projects/smallsearch?searchTerm=%00',
      'users/list?is_active=perhaps',
      'users/list?business_area=-1',
      'users/list?ignoreArray=a',
      'documents/projectdocuments?kind=odd',
      'documents/projectdocuments?status=odd',
      'documents/projectdocuments?project=x',
    ]) {
      const { status, headers } = await get(query)
      expect(status, query).to.equal(400)
      expect(headers['content-type']).to.equal('application/problem+json')
    }
  })

  it('return whether an e-mail address or a name is taken [T19]', async () => {
    const post = (path: string, body: unknown, as = ODA) =>
      api.send('POST', `users/check-${path}-exists`, { as, body })
    for (const [answer, exists] of [
      [await get('users/check-email-exists?email=LIN@reads.test'), true],
      [await get('users/check-email-exists?email=lan@reads.test'), false],
      [await get('users/check-name-exists?username=lin'), true],
      [await get('users/check-name-exists?username=Lin'), false],
      [await post('email', { email: 'lin@reads.test' }), true],
      [await post('name', { first_name: 'lin', last_name: 'FOX' }), true],
      [await post('name', { first_name: 'lin', last_name: 'Gum' }), false],
      [await post('name', { username: 'oda' }), true],
    ] as const) {
      expect(answer.status).to.equal(200)
      expect(answer.headers['cache-control']).to.equal('private, no-store')
      expect(answer.body).to.deep.equal({ exists })
      // A token would bypass the cache in the reads of the next seconds.
      expect(answer.headers).not.to.have.any.keys('consistency-token', 'set-cookie')
    }
    for (const answer of [
      await get('users/check-email-exists'),
      await get('users/check-name-exists?username=%20'),
      await post('email', {}),
      await post('email', undefined),
      await post('name', { first_name: 'lin' }),
      await post('name', { username: 5 }),
    ]) {
      expect(answer.status).to.equal(400)
    }
    expect((await get('users/check-email-exists')).body).to.include({ error: 'email is required' })
    expect((await post('email', { email: 'x' }, ZED)).status).to.equal(401)
    const anonymous = await api.send('POST', 'users/check-email-exists', { body: { email: 'x' } })
    expect(anonymous.status).to.equal(401)
  })
})
