import { expect } from 'chai'
import { plainTag } from '../../api/http/encoding.ts'
import { ADMIN_USERNAME, DEVELOPMENT_PASSWORD } from '../../scripts/seed/people.ts'
import { startSystem, type System } from '../support/system.ts'
import { logIn } from '../support/log-in.ts'
import { until } from '../support/until.ts'

describe('a write over HTTP in cached answers', function () {
  this.timeout(60_000)
  let system: System
  let admin: Session
  /** A user with a visible profile and a business area. */
  let person: { id: string; profile: string; username: string; area: string; division: string }

  before(async () => {
    system = await startSystem()
    admin = await logIn(system.apis[0], ADMIN_USERNAME, DEVELOPMENT_PASSWORD)
    const { rows } = await system.sql.query<typeof person>(
      `select u.id, p.id as profile, u.username, a.id as area, a.division_id as division
       from users_user u join users_publicstaffprofile p on p.user_id = u.id
       join users_userwork w on w.user_id = u.id
       join agencies_businessarea a on a.id = w.business_area_id
       where not p.is_hidden and u.is_active and u.is_staff and not u.is_superuser
         and not p.custom_title_on and a.division_id is not null
       order by u.id limit 1`,
    )
    person = rows[0] ?? expect.fail('no user of the seed has a visible profile and a business area')
  })
  after(() => system[Symbol.asyncDispose]())

  type Session = Readonly<Record<string, string>>

  async function send(session: Session, method: string, path: string, body: object = {}) {
    const response = await fetch(`${system.apis[0]}/api/v1/${path}`, {
      method,
      headers: { 'Content-Type': 'application/json', ...session },
      body: JSON.stringify(body),
    })
    await response.arrayBuffer()
    return response
  }

  /** Sends a write while a path is cached, and waits until its answer shows the write. */
  async function expectSeen(
    path: string,
    [method, target, body]: readonly [method: string, target: string, body?: object],
    shows: string | number,
  ): Promise<void> {
    // Superusers get uncached answers about profiles.
    const reader = path.startsWith('users/staffprofiles/') ? {} : admin
    await until(async () => (await system.get(path, reader)).cache === 'hit')
    const before = await system.get(path, reader)
    if (typeof shows === 'string') expect(before.text).not.to.include(shows)
    const { status } = await send(admin, method, target, body)
    expect(status, `${method} ${target}`).to.be.within(200, 204)
    await until(async () => {
      const { status, text } = await system.get(path, reader)
      return typeof shows === 'string' ? text.includes(shows) : status === shows
    })
  }

  it('returns the ETag of the next cached answer', async () => {
    const path = `users/${person.id}`
    await until(async () => (await system.get(path, admin)).cache === 'hit')
    const before = (await system.get(path, admin)).headers.get('etag')
    const { status, headers } = await send(admin, 'PUT', path, { first_name: 'Tagged' })
    expect(status).to.equal(200)
    const tag = headers.get('etag')
    expect(tag).to.be.a('string').and.not.to.equal(before)
    await until(async () => {
      const read = await system.get(path, admin)
      return read.cache === 'hit' && plainTag(read.headers.get('etag') ?? '') === tag
    })
  })

  it('is visible in a CV', async () => {
    const cv = `users/staffprofiles/${person.profile}/cv`
    const path = `users/profiles/${person.profile}`
    const job = { position_title: 'Keeper of caches', start_year: 2020, employer: 'DBCA' }
    await expectSeen(cv, ['POST', `${path}/employment_entries`, job], 'Keeper of caches')
    const degree = { qualification_name: 'Doctor of caches', end_year: 2020, institution: 'UWA' }
    await expectSeen(cv, ['POST', `${path}/education_entries`, degree], 'Doctor of caches')
  })

  it('is visible in a profile and a user', async () => {
    const { id, profile } = person
    const hero = `users/staffprofiles/${profile}/hero`
    await expectSeen(hero, ['PUT', `users/${id}/pi`, { display_first_name: 'Zyxa' }], '"Zyxa"')
    await expectSeen(hero, ['PUT', `users/${id}/membership`, { role: 'Guide' }], '"Guide"')
    await expectSeen(`users/${id}`, ['PUT', `users/${id}`, { last_name: 'Zyx' }], '"Zyx"')
    await expectSeen(`users/${id}`, ['POST', `users/${id}/admin`], '"is_superuser":true')
  })

  it('is visible in the list of business areas, even if it changes divisions or users', async () => {
    const list = 'agencies/business_areas'
    const { id, area, division } = person
    await expectSeen(list, ['PUT', `${list}/${area}`, { name: 'Renamed' }], '"Renamed"')
    await expectSeen(list, ['POST', list, { name: 'Made', agency: 1 }], '"Made"')
    const divisions = `agencies/divisions/${division}`
    await expectSeen(list, ['PUT', divisions, { name: 'Moved' }], '"Moved"')
    const name = { display_first_name: 'Zyxb' }
    expect((await send(admin, 'PUT', `users/${id}/pi`, name)).status).to.equal(200)
    const emails = `${divisions}/email_list`
    expect((await send(admin, 'POST', emails, { usersList: [] })).status).to.equal(200)
    await until(async () => !(await system.get(list, admin)).text.includes('Zyxb'))
    await expectSeen(list, ['POST', emails, { usersList: [id] }], 'Zyxb')
  })

  it('is visible in the list of affiliations', async () => {
    const list = 'agencies/affiliations'
    const { rows } = await system.sql.query<{ id: string; name: string }>(
      'select id, name from agencies_affiliation order by id limit 1',
    )
    const [{ id } = { id: '' }] = rows
    await expectSeen(list, ['PUT', `${list}/${id}`, { name: 'A new name' }], '"A new name"')
  })

  it('ends sessions of a user after a password change and after the deletion of the user', async () => {
    const session = await logIn(system.apis[0], person.username, DEVELOPMENT_PASSWORD)
    await until(async () => (await system.get('projects/mine', session)).cache === 'hit')
    const words = { old_password: DEVELOPMENT_PASSWORD, new_password: 'battery staple' }
    expect((await send(session, 'PUT', 'users/change-password', words)).status).to.equal(200)
    await until(async () => (await system.get('projects/mine', session)).status === 401)

    const again = await logIn(system.apis[0], person.username, 'battery staple')
    await until(async () => (await system.get('projects/mine', again)).cache === 'hit')
    const profile = `users/staffprofiles/${person.profile}`
    await expectSeen(profile, ['DELETE', `users/${person.id}`], 404)
    await until(async () => (await system.get('projects/mine', again)).status === 401)
  })
})
