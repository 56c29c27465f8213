import { expect } from 'chai'
import type { Browser, BrowserContext, Locator } from 'playwright-core'
import { DEVELOPMENT_PASSWORD } from '../../scripts/seed/people.ts'
import { seed } from '../../scripts/seed/seed.ts'
import type { Redis } from '../../shared/cache/index.ts'
import { createMediaRoot, jpegOf, draw, type MediaRoot, pixelsOf, pngOf } from '../files/media.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startSystem, type System } from '../support/system.ts'
import { openTestClient } from '../support/test-client.ts'
import { until } from '../support/until.ts'
import { untilApplied } from '../support/until-applied.ts'
import { launchChromium } from './chromium.ts'
import { type PageServer, startPageServer } from './page-server.ts'
import { openTab, type Tab } from './tab.ts'

const SCALE = 0.2
const PORTRAIT = { width: 120, height: 160 }
const LANDSCAPE = { width: 240, height: 100 }
/** The largest difference of a colour that encoding a picture as JPEG makes, out of 255. */
const JPEG_TOLERANCE = 12
const KINDS = ['science', 'student', 'external', 'core_function']
const START_UP = ['GET users/me', 'GET agencies/branches', 'GET agencies/business_areas']

/** Rows that the test shows and changes. */
interface Cast {
  readonly superuser: string
  /** The user of the page: a leader of a project, with a visible profile. */
  readonly user: string
  readonly userId: number
  /** Another one, with an avatar and without caretakers. */
  readonly colleague: number
  /** A project that the user leads, and one that does not have the user as a member. */
  readonly project: number
  readonly otherProject: number
}

const CAST = `
  with person as (
    select u.id, u.username, row_number() over (order by u.id) as n
    from users_user u
    join users_publicstaffprofile p on p.user_id = u.id and not p.is_hidden
    join users_userprofile on users_userprofile.user_id = u.id
    join users_userwork w on w.user_id = u.id and w.branch_id > 0 and w.business_area_id > 0
    where u.is_active and u.is_staff and not u.is_superuser
      and exists (select from projects_projectmember m join projects_project o on o.id = m.project_id
                  where m.user_id = u.id and m.is_leader and o.business_area_id > 0)
      and exists (select from medias_useravatar a where a.user_id = u.id)
      and not exists (select from caretakers_caretaker c where c.user_id = u.id)
  ), viewer as (select * from person where n = 1)
  select (select username from users_user where is_superuser and is_active limit 1) as superuser,
    viewer.username as user, viewer.id::int as "userId",
    (select id::int from person where n = 2) as colleague,
    (select min(o.id)::int from projects_projectmember m
     join projects_project o on o.id = m.project_id and o.business_area_id > 0
     where m.user_id = viewer.id and m.is_leader) as project,
    (select min(o.id)::int from projects_project o where not exists
      (select from projects_projectmember m where m.project_id = o.id and m.user_id = viewer.id)
    ) as "otherProject"
  from viewer`

describe('a page that sends the requests of the front end, in Chromium', function () {
  this.timeout(120_000)
  let media: MediaRoot
  let database: TestDatabase
  let system: System
  let redis: Redis
  let server: PageServer
  let browser: Browser
  let context: BrowserContext
  let tab: Tab
  let cast: Cast

  before(async () => {
    media = await createMediaRoot()
    database = await createTestDatabase({ installed: true })
    await seed(database.url, { scale: SCALE, mediaRoot: media.path })
    system = await startSystem({
      databaseUrl: database.url,
      apiEnv: { MEDIA_ROOT: media.path },
    })
    redis = await openTestClient()
    server = await startPageServer(system.apis[0] ?? '')
    browser = await launchChromium()
    context = await browser.newContext({ timezoneId: 'Australia/Perth' })
    tab = await openTab(context, server.origin)
    cast = (await system.sql.query<Cast>(CAST)).rows[0] as Cast
    await system.sql.query(
      `insert into caretakers_caretaker (user_id, caretaker_id, created_at, updated_at)
       select id, $1, now(), now() from users_user where username = $2`,
      [cast.userId, cast.superuser],
    )
  })
  after(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
    redis?.disconnect()
    await system?.[Symbol.asyncDispose]()
    await database?.[Symbol.asyncDispose]()
    await media?.[Symbol.asyncDispose]()
  })
  afterEach(() => {
    expect(tab.takeComplaints()).to.deep.equal([])
  })

  async function logIn(username: string, password = DEVELOPMENT_PASSWORD) {
    await tab.page.getByLabel('User name').fill(username)
    await tab.page.getByLabel('Password').fill(password)
    return tab.click('Log in')
  }

  /** Fills controls of the view by their labels. */
  async function fill(texts: Readonly<Record<string, string>>) {
    for (const [label, text] of Object.entries(texts)) {
      await tab.page.getByLabel(label, { exact: true }).fill(text)
    }
  }

  /** Chooses the first option of controls, or the one with this value. */
  async function choose(choices: Readonly<Record<string, string | undefined>>) {
    for (const [label, value] of Object.entries(choices)) {
      await tab.page
        .getByLabel(label, { exact: true })
        .selectOption(value === undefined ? { index: 1 } : value)
    }
  }

  const attach = (label: string, name: string, buffer: Buffer) =>
    tab.page
      .getByLabel(label, { exact: true })
      .setInputFiles({ name, mimeType: 'application/octet-stream', buffer })

  const firstPicture = () => tab.page.locator('main > img').first()

  it('shows the log-in form without requests, and why a log-in is rejected', async () => {
    expect(await tab.load('/')).to.deep.equal([])
    expect(await tab.shown()).to.equal('/log-in')
    await logIn(cast.user, 'wrong')
    expect(tab.takeComplaints()).to.deep.equal([
      'POST /api/v1/users/log-in: 401',
      'Incorrect password',
    ])
  })

  for (const role of ['superuser', 'user'] as const) {
    it(`shows the dashboard after a log-in of a ${role}, the lists and all users, and logs out`, async () => {
      await tab.load('/')
      const [first, ...requests] = (await logIn(cast[role])).map(({ request }) => request)
      expect(first).to.equal('POST users/log-in')
      expect(await tab.shown()).to.equal('/')
      expect(requests.slice(0, 3)).to.have.members(START_UP)
      expect(requests).to.include.members([
        'GET adminoptions/tasks',
        'GET documents/endorsements/pendingmyaction',
        'GET documents/projectdocuments/pendingmyaction',
        'GET projects/mine',
      ])
      expect(requests).to.have.length.within(8, 9)
      // The user is the caretaker of the superuser.
      if (role === 'user') expect(requests).to.include(`GET caretakers/tasks/${cast.userId}`)
      await tab.load('/users')
      await tab.load('/projects')
      await tab.load(`/users/${cast.userId}`)
      expect(await tab.list('projects')).to.have.length.above(0)
      await tab.load('/profile')
      await tab.click('Log out')
      expect(await tab.shown()).to.equal('/log-in')
      expect(await tab.load('/projects')).to.deep.equal([])
    })
  }

  it('filters the list of users', async () => {
    await tab.load('/users')
    await logIn(cast.user)
    const staff = Number(await tab.field('total'))
    const count = async (label: string) => {
      await tab.load('/users')
      await tab.page.getByLabel(label, { exact: true }).check()
      await tab.click('Filter')
      return Number(await tab.field('total'))
    }
    const { rows } = await system.sql.query<Record<string, number>>(
      `select count(*) filter (where is_staff)::int as staff,
         count(*) filter (where not is_staff)::int as external,
         count(*) filter (where is_superuser)::int as superusers,
         (select count(distinct leader_id)::int from agencies_businessarea) as leaders
       from users_user`,
    )
    expect({
      staff,
      external: await count('Only external'),
      superusers: await count('Only superusers'),
      leaders: await count('Only leaders'),
    }).to.deep.equal(rows[0])

    await fill({ Search: cast.user })
    await choose({ 'Business area': '1' })
    const [list] = (await tab.click('Filter')).filter(({ request }) => request === 'GET users/list')
    expect(Object.fromEntries(list?.query ?? [])).to.deep.equal({
      page: '1',
      search: cast.user,
      businessArea: '1',
    })
  })

  it('filters the list of projects', async () => {
    await tab.load('/projects')
    const total = Number(await tab.field('total'))
    await tab.page.getByLabel('Only active', { exact: true }).check()
    await tab.click('Filter')
    const active = Number(await tab.field('total'))
    expect(active).to.be.within(1, total - 1)
    const { rows } = await system.sql.query<{ title: string; kind: string; year: string }>(
      'select title, kind, year::text from projects_project where id = $1',
      [cast.project],
    )
    const { title = '', kind, year } = rows[0] ?? {}
    await fill({ Search: title })
    await choose({ Kind: kind, Year: year })
    await tab.click('Filter')
    expect(await tab.list('projects')).to.satisfy((items: string[]) =>
      items.some((item) => item.startsWith(title)),
    )
  })

  it('shows the picture and the texts of a profile after they were saved', async () => {
    await tab.load('/profile')
    await fill({ About: 'Studies numbats', Expertise: 'Termites' })
    await attach('Picture', 'me.png', await pngOf(PORTRAIT))
    await tab.click('Save profile')
    await expectPicture(firstPicture(), PORTRAIT)
    await fill({ Title: 'dr', Phone: '123', Fax: '456' })
    await tab.click('Save details')
    expect(await tab.field('phone')).to.equal('123')
    await choose({ Branch: '2', 'Business area': '2' })
    await tab.click('Save membership')
    expect(await tab.field('branch')).to.equal(await nameOf('branch', 2))

    await tab.load(`/users/${cast.userId}`)
    expect(await tab.field('about')).to.equal('Studies numbats')
    expect(await tab.field('expertise')).to.equal('Termites')
    expect(await tab.field('business area')).to.equal(await nameOf('businessarea', 2))
    await expectPicture(firstPicture(), PORTRAIT)
  })

  it('shows no picture after it was removed', async () => {
    await tab.load('/profile')
    await tab.click('Remove picture')
    expect(await firstPicture().count()).to.equal(0)
  })

  it('rejects a picture that is none, and stays usable', async () => {
    await tab.load('/profile')
    await attach('Picture', 'me.png', Buffer.from('<svg/>'))
    await tab.click('Save profile')
    expect(tab.takeComplaints()).to.deep.equal([
      `PUT /api/v1/users/${cast.userId}/profile: 400`,
      'Upload a valid image. The file you uploaded was either not an image or a corrupted image.',
    ])
    await attach('Picture', 'me.jpg', await jpegOf(LANDSCAPE))
    await tab.click('Save profile')
    await expectPicture(firstPicture(), LANDSCAPE)
  })

  for (const kind of KINDS) {
    it(`shows a project of the kind ${kind} after it was created`, async () => {
      const title = `Numbats of kind ${kind}`
      await tab.load('/projects/new')
      await choose({
        Kind: kind,
        'Business area': '1',
        Service: '1',
        Leader: String(cast.userId),
        'Data custodian': undefined,
        ...(kind === 'student' && { Organisation: undefined, Level: 'phd' }),
      })
      await tab.page.getByLabel('Areas').selectOption([{ index: 1 }, { index: 3 }])
      await fill({
        Title: title,
        Description: 'About numbats',
        Keywords: 'numbat, termite',
        Start: '2026-01-31',
        End: '2027-02-28',
        ...(kind === 'external' && {
          Budget: '$ 7',
          Aims: 'To count',
          'External description': 'Far',
        }),
      })
      await attach('Photo', 'photo.jpg', await jpegOf(LANDSCAPE))
      await tab.click('Create project')
      expect(await tab.shown()).to.match(/^\/projects\/\d+$/)
      expect(await tab.field('title')).to.equal(title)
      expect(await tab.field('kind')).to.equal(kind)
      expect(await tab.field('keywords')).to.equal('numbat, termite')
      expect(await tab.field('dates')).to.equal('2026-01-31 to 2027-02-28')
      expect(await tab.field('business area')).to.equal(await nameOf('businessarea', 1))
      expect(await tab.field('service')).to.equal(await nameOf('departmentalservice', 1))
      expect(await tab.list('areas')).to.have.length(2)
      expect(await tab.list('members')).to.have.length(1)
      if (kind === 'student') expect(await tab.field('organisation')).not.to.equal('')
      if (kind === 'external') expect(await tab.field('budget')).to.equal('$ 7')
      await expectPicture(firstPicture(), LANDSCAPE)
      await tab.load('/')
      expect((await tab.list('projects'))[0]).to.include(title)
    })
  }

  it('shows in each of two tabs what both save at the same time', async () => {
    const other = await openTab(context, server.origin)
    try {
      await Promise.all([tab.load('/profile'), other.load('/profile')])
      await fill({ Phone: '777' })
      await other.page.getByLabel('About').fill('Written in the other tab')
      await Promise.all([tab.click('Save details'), other.click('Save profile')])
      for (const one of [tab, other]) {
        await one.load('/profile')
        expect(await one.field('phone')).to.equal('777')
        expect(await one.page.getByLabel('About').inputValue()).to.equal('Written in the other tab')
      }
      await tab.click('Log out')
      expect(await other.load('/')).to.deep.equal([])
      expect(await other.shown()).to.equal('/log-in')
      expect(other.takeComplaints()).to.deep.equal([])
      await tab.load('/')
      await logIn(cast.user)
    } finally {
      await other.page.close()
    }
  })

  /** A change by SQL, with a view and a check of it. */
  interface Change {
    readonly of: string
    /** A statement for the rows of the cast. */
    readonly sql: (cast: Cast) => string
    readonly path: (cast: Cast) => string
    /** The request of the view whose answer the change makes stale. */
    readonly cached: (cast: Cast) => string
    readonly isShown: () => Promise<boolean>
    /** Complaints of the tab after the change; by default none. */
    readonly complaints?: readonly string[]
  }

  const userSheet = {
    path: ({ colleague }: Cast) => `/users/${colleague}`,
    cached: ({ colleague }: Cast) => `GET users/${colleague}`,
  }
  const projectPage = {
    path: ({ project }: Cast) => `/projects/${project}`,
    cached: ({ project }: Cast) => `GET projects/${project}`,
  }
  const dashboard = { path: () => '/', cached: () => 'GET projects/mine' }
  const showsField = (name: string, text: string) => async () =>
    (await tab.field(name)).includes(text)
  const lists = (name: string, text: string) => async () =>
    (await tab.list(name)).some((item) => item.includes(text))

  const CHANGES: readonly Change[] = [
    {
      of: 'the name of a user',
      sql: ({ colleague }) =>
        `update users_user set display_first_name = 'Renamed' where id = ${colleague}`,
      ...userSheet,
      isShown: showsField('name', 'Renamed'),
    },
    {
      of: 'an avatar',
      sql: ({ colleague }) =>
        `update medias_useravatar set file = 'user_avatars/sql.png' where user_id = ${colleague}`,
      ...userSheet,
      isShown: () => shows(firstPicture(), PORTRAIT),
    },
    {
      of: 'the branch of a user',
      sql: ({ colleague }) =>
        `update agencies_branch b set name = 'Branch by SQL' from users_userwork w
         where w.user_id = ${colleague} and b.id = w.branch_id`,
      ...userSheet,
      isShown: showsField('branch', 'Branch by SQL'),
    },
    {
      of: 'the caretaker of a user',
      sql: ({ colleague, userId }) =>
        `insert into caretakers_caretaker (user_id, caretaker_id, created_at, updated_at)
         values (${colleague}, ${userId}, now(), now())`,
      ...userSheet,
      isShown: async () => (await tab.list('caretakers')).length === 1,
    },
    {
      of: 'the text of a profile',
      sql: ({ colleague }) =>
        `update users_publicstaffprofile set about = 'Text by SQL' where user_id = ${colleague}`,
      ...userSheet,
      isShown: showsField('about', 'Text by SQL'),
    },
    {
      of: 'the title of a project',
      sql: ({ project }) =>
        `update projects_project set title = 'Title by SQL' where id = ${project}`,
      ...dashboard,
      isShown: lists('projects', 'Title by SQL'),
    },
    {
      of: 'the photo of a project',
      sql: ({ project }) =>
        `insert into medias_projectphoto (project_id, file, size, created_at, updated_at)
         values (${project}, 'projects/sql.jpg', 1, now(), now())
         on conflict (project_id) do update set file = excluded.file`,
      ...projectPage,
      isShown: () => shows(firstPicture(), LANDSCAPE),
    },
    {
      of: 'the name of a business area',
      sql: ({ project }) =>
        `update agencies_businessarea b set name = 'Area by SQL' from projects_project p
         where p.id = ${project} and b.id = p.business_area_id`,
      ...projectPage,
      isShown: showsField('business area', 'Area by SQL'),
    },
    {
      of: 'the members of a project',
      sql: ({ otherProject, userId }) =>
        `update projects_project set title = 'Joined by SQL' where id = ${otherProject};
         insert into projects_projectmember
           (project_id, user_id, role, is_leader, created_at, updated_at)
         values (${otherProject}, ${userId}, 'technical', false, now(), now())`,
      ...dashboard,
      isShown: lists('projects', 'Joined by SQL'),
    },
    {
      of: 'the active flag of the user',
      sql: ({ userId }) => `update users_user set is_active = false where id = ${userId}`,
      path: () => '/',
      cached: () => 'GET users/me',
      isShown: async () => (await tab.shown()) === '/log-in',
      complaints: ['GET /api/v1/users/me: 401', 'Authentication credentials were not provided.'],
    },
  ]

  for (const { of, sql, path, cached, isShown, complaints = [] } of CHANGES) {
    it(`shows a change of ${of} by SQL at the next load`, async () => {
      await media.put('user_avatars/sql.png', await pngOf(PORTRAIT))
      await media.put('projects/sql.jpg', await jpegOf(LANDSCAPE))
      // From the cache, so that the change must make entries stale.
      await until(async () => {
        const calls = await tab.load(path(cast))
        return calls.some(({ request, cache }) => request === cached(cast) && cache === 'hit')
      })
      expect(await isShown()).to.equal(false)
      await system.sql.query(sql(cast))
      await untilApplied(system.sql, redis, system.prefix)
      await tab.load(path(cast))
      expect(await isShown()).to.equal(true)
      expect(tab.takeComplaints()).to.deep.equal(complaints)
    })
  }

  async function nameOf(table: string, id: number) {
    const { rows } = await system.sql.query<{ name: string }>(
      `select name from agencies_${table} where id = $1`,
      [id],
    )
    return rows[0]?.name
  }
})

interface Drawing {
  readonly width: number
  readonly height: number
}

/**
 * Returns the largest difference of a colour between what the browser shows and a drawing; infinite without a picture
 * of its size.
 */
async function differenceOf(picture: Locator, drawing: Drawing): Promise<number> {
  if ((await picture.count()) === 0) return Infinity
  const { data, info } = await pixelsOf(await picture.screenshot())
  if (info.width !== drawing.width || info.height !== drawing.height) return Infinity
  return draw(drawing).reduce(
    (largest, colour, at) => Math.max(largest, Math.abs(colour - (data[at] ?? Infinity))),
    0,
  )
}

const shows = async (picture: Locator, drawing: Drawing) =>
  (await differenceOf(picture, drawing)) <= JPEG_TOLERANCE

async function expectPicture(picture: Locator, drawing: Drawing) {
  expect(await differenceOf(picture, drawing)).to.be.at.most(JPEG_TOLERANCE)
}
