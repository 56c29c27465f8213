import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import axe from 'axe-core'
import { expect } from 'chai'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import sharp from 'sharp'
import { ensureConsole } from '../../scripts/build-console.ts'
import { root } from '../../scripts/paths.ts'
import { catalog } from '../../shared/resources/index.ts'
import { runCli } from '../support/cli.ts'
import { logIn, type SessionHeaders } from '../support/log-in.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { openTestClient } from '../support/test-client.ts'
import { until } from '../support/until.ts'
import { launchChromium } from './chromium.ts'

const TOKEN = 'a token that only the tests know'
const WITHIN_MS = 20_000
/** A change must be shown within this time of its commit. */
const SHOWN_WITHIN_MS = 1_000
/** Changes that the view Live shows at once. */
const MOST_CHANGES = 200
const RESPONSIVE_MS = 200
/** Streams of changes that the invalidator accepts. */
const MAX_STREAMS = 100
/** Records the times between frames of the page. */
const RECORD_FRAMES = `
  window.frames_ = []
  let last = performance.now()
  requestAnimationFrame(function frame(now) {
    window.frames_.push(now - last)
    last = now
    requestAnimationFrame(frame)
  })`
const VIEWS = ['overview', 'live', 'resources', 'explain'] as const
const WIDE = { width: 1240, height: 860 }
const NARROW = { width: 390, height: 844 }
const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: WIDE },
  { name: 'dark', colorScheme: 'dark', viewport: WIDE },
  { name: 'narrow', colorScheme: 'light', viewport: NARROW },
] as const
/** With `SCREENSHOTS=1` the images of docs/console.md are written, after a minute of reads and changes. */
const writesImages = process.env.SCREENSHOTS === '1'
const BUSY_MS = 75_000

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

describe('the console in Chromium', function () {
  this.timeout(180_000)
  let server: PrivateRedis
  let system: System
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let session: SessionHeaders
  let user: string
  let profile: string
  /** The user of the profile. */
  let owner: string
  let complaints: string[] = []

  before(async () => {
    await ensureConsole()
    server = await startPrivateRedis()
    const redis = await openTestClient(server.url)
    await redis.config('SET', 'maxmemory', '200mb', 'maxmemory-policy', 'volatile-lfu')
    redis.disconnect()
    system = await startSystem({
      redisUrl: server.url,
      invalidatorEnv: { CONSOLE_TOKEN: TOKEN },
    })
    session = await logIn(system.apis[0])
    const { rows } = await system.sql.query<{ user: string; profile: string; owner: string }>(
      `select (select min(id) from users_user where is_superuser)::text as user,
              p.id::text as profile, p.user_id::text as owner
       from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 1`,
    )
    user = rows[0]?.user ?? ''
    profile = rows[0]?.profile ?? ''
    owner = rows[0]?.owner ?? ''
    // Each process reports within 2 s of its start.
    await until(async () => {
      const response = await fetch(`${system.invalidator.console}/console/overview`)
      return (await response.text()).includes('"spms-api"')
    })
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    await system?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  async function open(look: (typeof LOOKS)[number] = LOOKS[0]): Promise<void> {
    const { colorScheme, viewport } = look
    context = await browser.newContext({ colorScheme, viewport, reducedMotion: 'reduce' })
    page = await context.newPage()
    page.setDefaultTimeout(WITHIN_MS)
    complaints = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => {
      if (!request.url().startsWith(system.invalidator.console)) complaints.push(request.url())
    })
    await show('overview')
  }
  const show = (path: string) => page.goto(`${system.invalidator.console}/#/${path}`)
  const sentence = () => page.getByTestId('sentence').innerText()
  const untilSentence = (pattern: RegExp) =>
    until(async () => pattern.test(await sentence().catch(() => '')))

  beforeEach(() => open())
  afterEach(() => context.close())

  const change = () =>
    system.sql.query(
      `update users_publicstaffprofile set expertise = clock_timestamp()::text where id = $1`,
      [profile],
    )
  const urls = () => [
    `/api/v1/users/staffprofiles/${profile}/overview`,
    `/api/v1/users/${owner}/projects_staff_profile`,
    '/api/v1/users/staffprofiles',
    '/api/v1/users/me',
    `/api/v1/users/${user}`,
    '/api/v1/users/list',
    '/api/v1/agencies/branches',
    '/api/v1/agencies/business_areas',
    '/api/v1/agencies/affiliations',
    '/api/v1/projects/mine',
  ]
  const readAll = () =>
    Promise.all(urls().map((url) => system.get(url.slice('/api/v1/'.length), session)))

  /** Waits until a view shows its data. */
  async function untilShown(view: (typeof VIEWS)[number]): Promise<void> {
    const what = {
      overview: '.figure',
      live: '.change, .empty',
      resources: '.diagram svg',
      explain: '.entry, .empty',
    }
    await page.locator(what[view]).first().waitFor()
    await untilSentence(/./)
  }
  const pathOf = (view: (typeof VIEWS)[number]) =>
    view === 'explain'
      ? `explain?${new URLSearchParams({ what: urls()[0] ?? '' }).toString()}`
      : view === 'resources'
        ? 'resources?name=staff:profile'
        : view

  it('shows the state of the cache without messages in the browser console', async () => {
    await until(async () => {
      await readAll()
      return /^All changes committed until \d\.\d s ago are applied; \d+ % of reads are hits\.$/.test(
        await sentence(),
      )
    })
    for (const view of VIEWS) {
      await show(pathOf(view))
      await untilShown(view)
    }
    expect(complaints).to.deep.equal([])
  })

  for (const look of LOOKS) {
    it(`has no violation that axe-core finds, in any view (${look.name})`, async () => {
      await context.close()
      await open(look)
      await change()
      for (const view of VIEWS) {
        await show(pathOf(view))
        await untilShown(view)
        // Trusted types and the content security policy concern scripts of the page, not of the test.
        await page.evaluate(axe.source)
        const violations = await page.evaluate<readonly Violation[]>(
          `axe.run().then(({ violations }) => violations)`,
        )
        const found = violations.map(({ id, nodes }) => [
          id,
          nodes.map((node) => node.failureSummary),
        ])
        expect(JSON.stringify(found), view).to.equal('[]')
        const isWider = await page.evaluate<boolean>(
          'document.documentElement.scrollWidth > document.documentElement.clientWidth',
        )
        expect(isWider, `${view} scrolls sideways`).to.equal(false)
      }
      expect(complaints).to.deep.equal([])
    })
  }

  it('leads through the views with the keyboard', async () => {
    await untilShown('overview')
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.className')).to.equal('skip')
    for (const view of VIEWS) {
      await page.keyboard.press('Tab')
      expect(await page.evaluate('document.activeElement.hash')).to.equal(`#/${view}`)
    }
    await page.keyboard.press('Enter')
    await untilShown('explain')
    await until(async () => (await page.evaluate('document.activeElement.id')) === 'main')
  })

  it('shows a change by SQL and its keys within a second of the commit', async () => {
    await show('live')
    await page.getByText('Connected.').waitFor()
    // A round may be slow on a busy machine: the fastest counts.
    const tookMs: number[] = []
    for (let round = 0; round < 5; round++) {
      const before = await page.locator('.change').count()
      await change()
      const committedAtMs = performance.now()
      await until(async () => (await page.locator('.change').count()) > before)
      tookMs.push(performance.now() - committedAtMs)
    }
    const newest = await page.locator('.change').first().innerText()
    expect(newest).to.contain('users_publicstaffprofile').and.to.contain('expertise')
    expect(newest).to.contain(`staff:profile:${profile}`)
    expect(newest).to.match(/\d ms/)
    expect(Math.min(...tookMs), tookMs.join()).to.be.below(SHOWN_WITHIN_MS)
  })

  it('pauses, and filters by table, resource and key', async () => {
    await show('live')
    await page.getByText('Connected.').waitFor()
    const before = await page.locator('.change').count()
    await change()
    await until(async () => (await page.locator('.change').count()) > before)
    await page.getByRole('button', { name: 'Pause' }).click()
    const paused = await page.locator('.change').count()
    await change()
    await page.getByText('1 waiting').waitFor()
    expect(await page.locator('.change').count()).to.equal(paused)
    await page.getByRole('button', { name: 'Resume' }).click()
    await change()
    await until(async () => (await page.locator('.change').count()) >= paused + 2)
    await page.getByLabel('Resource').selectOption('agency:branches')
    // The first flush, at the start of the invalidator, concerns this resource too.
    const changed = page.locator('.change strong', { hasText: 'users_publicstaffprofile' })
    await until(async () => (await changed.count()) === 0)
    await page.getByLabel('Resource').selectOption('staff:profile')
    await page.getByLabel('Key contains').fill(`staff:profile:${profile}`)
    await page.getByLabel('Key contains').press('Enter')
    await page.getByLabel('Table').selectOption('users_publicstaffprofile')
    await until(async () => {
      const texts = await page.locator('.change strong').allInnerTexts()
      return texts.length > 0 && texts.every((text) => text === 'users_publicstaffprofile')
    })
  })

  it('stays responsive during thousands of changes, and shows how many it does not show', async () => {
    await show('live')
    await page.getByText('Connected.').waitFor()
    await page.evaluate(RECORD_FRAMES)
    await until(async () => {
      await system.sql.query(`do $$ begin
        for n in 1..1000 loop
          update users_publicstaffprofile set expertise = n || clock_timestamp()::text
          where id = ${profile};
        end loop;
      end $$`)
      return (await page.getByText(/^[\d,]{4,} changes are not shown/).count()) === 1
    })
    expect(await page.locator('.change').count()).to.be.within(1, MOST_CHANGES)
    const frames = await page.evaluate<readonly number[]>('window.frames_')
    // Half of the frames, since another program may keep the processor for a moment.
    const median = frames.toSorted((a, b) => a - b)[Math.floor(frames.length / 2)]
    expect(median, `${frames.length} frames`).to.be.below(RESPONSIVE_MS)
  })

  it('opens one stream for all tabs that show Live, and closes it with the last of them', async () => {
    /** Returns how many streams are open: the invalidator rejects that many of as many as it accepts. */
    const countStreams = async () => {
      const stop = new AbortController()
      const open = () =>
        fetch(`${system.invalidator.console}/events`, { signal: stop.signal }).then(
          ({ status }) => status,
        )
      const statuses = await Promise.all(Array.from({ length: MAX_STREAMS }, open))
      stop.abort()
      return statuses.filter((status) => status === 503).length
    }
    const untilOpen = (count: number) => until(async () => (await countStreams()) === count)
    const another = await context.newPage()
    await another.goto(`${system.invalidator.console}/#/live`)
    await show('live')
    for (const tab of [page, another]) await tab.getByText('Connected.').waitFor()
    await untilOpen(1)
    await show('overview')
    await change()
    await another.locator('.change').first().waitFor()
    await untilOpen(1)
    await another.close()
    await untilOpen(0)
  })

  it('shows the dependencies of a resource, and the reverse view from a table and a column', async () => {
    await show('resources?name=staff:profile')
    await untilShown('resources')
    const diagram = page.locator('.diagram')
    for (const { table } of catalog.find(({ name }) => name === 'staff:profile')?.staleWhen ?? []) {
      expect(await diagram.textContent()).to.contain(table)
    }
    await page.getByLabel('From the table').selectOption('agencies_branch')
    await page.locator('.columns').getByText('manager_id', { exact: true }).click()
    await until(async () => (await diagram.textContent())?.includes('agency:branches') === true)
    const readers = catalog.filter(({ staleWhen }) =>
      staleWhen.some(
        ({ table, watch }) => table === 'agencies_branch' && watch.includes('manager_id'),
      ),
    )
    for (const { name } of catalog) {
      const isShown = (await diagram.locator('a.box .title').allTextContents()).includes(name)
      expect(isShown, name).to.equal(readers.some((one) => one.name === name))
    }
  })

  it('explains ten URLs as the command line does', async () => {
    await readAll()
    for (const url of urls()) {
      const { output } = await runCli(
        { ...system, redisUrl: server.url },
        'explain',
        url,
        '--as',
        user,
      )
      const printed = output.split('\n').flatMap(entryIn)
      expect(printed.length, output).to.be.above(0)
      await show(`explain?${new URLSearchParams({ what: url, as: user }).toString()}`)
      let shown: readonly string[] = []
      // The page shows the answer to the previous question until the next one arrives.
      await until(async () => {
        shown = await readEntries()
        return shown.join('\n') === printed.join('\n')
      }).catch(() => expect(shown, url).to.deep.equal(printed))
    }
  })

  /** Returns the keys of the shown entries, and the sizes or states of their variants. */
  const readEntries = (): Promise<readonly string[]> =>
    page.locator('.entry').evaluateAll((articles) =>
      articles.flatMap((article) => [
        article.getAttribute('data-key') ?? '',
        ...[...article.querySelectorAll('tbody tr')].map((row) => {
          const [name = '', state = '', size = ''] = [...row.children].map(
            (cell) => cell.textContent ?? '',
          )
          return `${name}: ${state === 'cached' ? size.replace(/\D/g, '') : state}`
        }),
      ]),
    )

  /** Returns the same of a line that the command prints. */
  function entryIn(line: string): string[] {
    const [, key] = /^\S+ {2}(\S+\/v\d+\/\S+)$/.exec(line) ?? []
    if (key !== undefined) return [key]
    const [, name, size] =
      /^ {2}(\S[^:]*(?::[^ :]+)*): (?:(\d+) bytes.*fresh|not cached)/.exec(line) ?? []
    return name === undefined ? [] : [`${name}: ${size ?? 'not cached'}`]
  }

  it('compares an entry with Postgres, and flushes its resource with the token only', async () => {
    await readAll()
    await show(pathOf('explain'))
    await page.getByRole('button', { name: 'Verify' }).click()
    await page.getByText(/^Equal to Postgres: overview right/).waitFor()
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Flush the resource' }).click()
    await page.getByText('the token is wrong').waitFor()
    complaints = []
    await page.getByLabel('Token').fill(TOKEN)
    await page.getByRole('button', { name: 'Flush the resource' }).click()
    await page.locator('.entry').getByText('not cached', { exact: true }).first().waitFor()
  })

  it('reports a disabled trigger with its remedy', async () => {
    await untilSentence(/^All changes/)
    await system.sql.query('alter table agencies_branch disable trigger zz_invalidation_update')
    await untilSentence(/^The triggers on agencies_branch are missing, disabled or changed/)
    expect(await page.locator('.status').innerText()).to.contain('npm run spms -- install')
    await system.sql.query(
      'alter table agencies_branch enable always trigger zz_invalidation_update',
    )
    await untilSentence(/^All changes/)
  })

  it('lists two invalidators with the resources that each owns', async () => {
    const second = await system.addInvalidator()
    const rows = page.locator('tbody tr', { hasText: 'spms-invalidator' })
    await until(async () => {
      const texts = await rows.allInnerTexts()
      return texts.length === 2 && texts.every((text) => /[1-9]\d* resources/.test(text))
    })
    await second.kill()
    await until(async () => (await rows.count()) === 1)
  })

  it('reports a killed invalidator, and recovers with a new one', async () => {
    await untilSentence(/^All changes/)
    await system.invalidator.kill()
    await untilSentence(/^The invalidator of this page has no answer/)
    expect(await page.locator('.status').innerText()).to.contain('Start an invalidator')
    await system.invalidator.start()
    await untilSentence(/^All changes/)
  })

  it('reports a stopped Redis, and recovers when it is back', async () => {
    await untilSentence(/^All changes/)
    await server.stop()
    await untilSentence(/^Redis does not answer/)
    await server.start()
    await untilSentence(/^(?!Redis does not answer)/)
  })

  if (writesImages) {
    it('writes the images of docs/console.md', async function () {
      this.timeout(300_000)
      await mkdir(join(root, 'docs/images'), { recursive: true })
      const stop = new AbortController()
      const busy = keepBusy(stop.signal)
      await sleep(BUSY_MS)
      for (const look of LOOKS) {
        await context.close()
        await open(look)
        for (const view of VIEWS) {
          await show(pathOf(view))
          await untilShown(view)
          if (view === 'live') await page.locator('.change').nth(8).waitFor()
          await sleep(SHOWN_WITHIN_MS)
          const png = await page.screenshot({
            animations: 'disabled',
            // The diagram is below the table.
            fullPage: view === 'resources',
          })
          const small = await sharp(png).png({ palette: true, colours: 96, effort: 10 }).toBuffer()
          await writeFile(join(root, `docs/images/console-${view}-${look.name}.png`), small)
        }
      }
      stop.abort()
      await busy
    })
  }

  /** Reads and changes rows of several tables at uneven rates. */
  async function keepBusy(stopping: AbortSignal): Promise<void> {
    const toggle = (column: string) =>
      `${column} = case when ${column} like '%.' then rtrim(${column}, '.') else ${column} || '.' end`
    const oneOf = (table: string) =>
      `where id = (select id from ${table} order by random() limit 1)`
    const statements = [
      ['users_publicstaffprofile', 'expertise'],
      ['projects_project', 'title'],
      ['users_publicstaffprofile', 'about'],
      ['users_user', 'display_last_name'],
      ['users_publicstaffprofile', 'expertise'],
      ['agencies_branch', 'name'],
    ].map(([table = '', column = '']) => `update ${table} set ${toggle(column)} ${oneOf(table)}`)
    for (let round = 0; !stopping.aborted; round++) {
      await readAll()
      if (round % 3 === 0) await system.sql.query(statements[(round / 3) % statements.length] ?? '')
      await sleep(60 + 50 * Math.sin(round / 40))
    }
  }
})
