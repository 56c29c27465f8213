import { expect } from 'chai'
import { z } from 'zod'
import { mountedRoutes } from '../support/mounted-routes.ts'
import { startReadApi } from './read-api.ts'
import type { TestApi } from './test-api.ts'

const [LEA, OUT] = [1, 4]
const PROFILE = 41
const MISSING = 999

const list = z.looseObject({ profiles: z.array(z.looseObject({ id: z.int() })) })
const full = z.looseObject({
  user: z.looseObject({ id: z.int(), email: z.string().nullable() }),
  keywords: z.array(z.unknown()),
  employment_entries: z.array(z.unknown()),
  education_entries: z.array(z.unknown()),
})

// Facts of the previous API that no test of a route contains. See docs/conformance.md.
describe('the contract of the previous API', () => {
  let api: TestApi
  before(async () => {
    api = await startReadApi()
  })
  after(() => api[Symbol.asyncDispose]())

  const get = (path: string, as?: number) => api.send('GET', path, as === undefined ? {} : { as })

  it('has no path that ends in a slash, and no redirects [T7]', async () => {
    const paths = mountedRoutes(api.app)
      .filter(({ method, path }) => method === 'get' && path.startsWith('/api/v1/'))
      .map(({ path }) => path.slice('/api/v1/'.length))
    expect(paths).to.include.members(['users/:id', 'users/me', 'projects/mine'])
    for (const path of paths) {
      expect(path).not.to.match(/\/$/)
      const asked = path.replaceAll(/:\w+/g, '1')
      expect((await get(asked, LEA)).status, asked).not.to.be.within(300, 399)
      expect((await get(`${asked}/`, LEA)).status, `${asked}/`).to.equal(404)
    }
  })

  it('answers no method of any path with 500 to an anonymous request [T8]', async () => {
    for (const path of new Set(mountedRoutes(api.app).map((route) => route.path))) {
      if (!path.startsWith('/api/v1/')) continue
      const asked = path.slice('/api/v1/'.length).replaceAll(/:\w+/g, '1')
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const body = method === 'GET' ? {} : { body: {} }
        const { status } = await api.send(method, asked, body)
        expect(status, `${method} ${asked}`).to.be.below(500)
      }
    }
  })

  it('lists staff publicly, also by search term and business area [T30]', async () => {
    for (const query of ['', '?search=Lea', '?business_area=31']) {
      const { status, body } = await get(`users/staffprofiles${query}`)
      expect(status, query).to.equal(200)
      expect(
        list.parse(body).profiles.map(({ id }) => id),
        query,
      ).to.deep.equal([PROFILE])
    }
  })

  it('shows staff profiles and their sections publicly [T32, T36]', async () => {
    const path = `users/staffprofiles/${PROFILE}`
    expect(full.parse((await get(path)).body).user.id).to.equal(LEA)
    expect((await get(`${path}/hero`)).body).to.have.nested.property('user.id', LEA)
    expect((await get(`${path}/overview`)).body).to.have.property('expertise', 'Orchids')
    expect((await get(`${path}/cv`)).body).to.include.keys(
      'employment_entries',
      'education_entries',
    )
  })

  it('shows the public e-mail address while it is enabled [T37, T38, null instead of the log-in address]', async () => {
    const shown = async () => [
      full.parse((await get(`users/staffprofiles/${PROFILE}`)).body).user.email,
      z
        .looseObject({ user: full.shape.user })
        .parse((await get(`users/staffprofiles/${PROFILE}/hero`)).body).user.email,
    ]
    const turn = (public_email_on: boolean) =>
      api.db
        .updateTable('users_publicstaffprofile')
        .set({ public_email_on })
        .where('id', '=', String(PROFILE))
        .execute()
    await turn(true)
    expect(await shown()).to.deep.equal(['lea@public.test', 'lea@public.test'])
    await turn(false)
    expect(await shown()).to.deep.equal([null, null])
    await turn(true)
  })

  it('shows all keywords and entries of a staff profile [T39]', async () => {
    const { keywords, employment_entries, education_entries } = full.parse(
      (await get(`users/staffprofiles/${PROFILE}`)).body,
    )
    const count = async (table: 'users_employmententry' | 'users_educationentry') =>
      (
        await api.db
          .selectFrom(table)
          .select('id')
          .where('public_profile_id', '=', String(PROFILE))
          .execute()
      ).length
    expect(employment_entries)
      .to.have.length(await count('users_employmententry'))
      .above(0)
    expect(education_entries)
      .to.have.length(await count('users_educationentry'))
      .above(0)
    expect(keywords).to.have.length(1)
  })

  it('answers an empty list for a user without projects and for a missing user [T42, the second for users only]', async () => {
    for (const id of [OUT, MISSING]) {
      expect(await get(`users/${id}/projects_staff_profile`)).to.include({ status: 200 })
      expect((await get(`users/${id}/projects_staff_profile`)).body).to.deep.equal([])
      expect((await get(`users/${id}/projects`, LEA)).body).to.deep.equal([])
      expect((await get(`users/${id}/projects`)).status).to.equal(401)
    }
  })

  it('shows the business area, the ordered areas, the deletion request and the tag of a project [T71]', async () => {
    const { project } = z
      .looseObject({ project: z.looseObject({ areas: z.array(z.looseObject({ id: z.int() })) }) })
      .parse((await get('projects/204', LEA)).body)
    expect(project.areas.map(({ id }) => id)).to.deep.equal([202, 201])
    expect(project).to.include({ business_area: null, deletion_request_id: null })
    const { body } = await get('users/1/projects', OUT)
    expect(body)
      .to.have.nested.property('[0].tag')
      .that.matches(/^(SP|CF|STP|EXT)-\d+-\d+$/)
  })
})
