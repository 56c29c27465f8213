import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { Express } from 'express'
import { Client } from 'pg'
import winston from 'winston'
import type { AppOptions } from '../api/app.ts'
import { createSessions } from '../api/session/session.ts'
import { install } from '../db/event-log/index.ts'
import type { Database } from '../db/schema.ts'
import { root } from '../scripts/paths.ts'
import { compileRules, type ResourceRules } from '../shared/cache/index.ts'
import type { Resource } from '../shared/resources/cache.ts'
import { closeServer } from '../shared/server.ts'
import { httpConfig } from './routes/test-api.ts'
import { type CachedReads, openCachedReads } from './support/cached-reads.ts'
import { createEmptyDatabase, type TestDatabase } from './support/database.ts'
import { sessionHeaders } from './support/session-headers.ts'
import { itLong } from './support/long.ts'
import { until } from './support/until.ts'

const PAGE = join(root, 'docs/adding-a-resource.md')
/** The most files that an engineer has to touch, by section of the page. */
const MOST_FILES: Readonly<Record<string, number>> = {
  'A cached endpoint': 5,
  'A column': 4,
  'A table': 5,
  'A write endpoint': 3,
}
const COPIED = ['api', 'db', 'invalidator', 'shared', 'package.json', 'tsconfig.json']

describe('the page about adding a resource', function () {
  this.timeout(300_000)
  let folder: string
  let blocks: readonly Block[]

  before(async () => {
    blocks = blocksOf(await readFile(PAGE, 'utf8'))
    folder = await mkdtemp(join(tmpdir(), 'adding-a-resource-'))
    for (const path of COPIED) await cp(join(root, path), join(folder, path), { recursive: true })
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const { path, text, hunks } of blocks) {
      if (path === null) continue
      const file = join(folder, path)
      if (hunks === null) await writeFile(file, text, { flag: 'wx' })
      else await writeFile(file, applied(hunks, await readFile(file, 'utf8'), path))
    }
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('touches few files for each kind of addition', () => {
    for (const [section, most] of Object.entries(MOST_FILES)) {
      const paths = blocks.filter((block) => block.section === section).map(({ path }) => path)
      const files = new Set(paths.filter((path) => path !== null))
      expect(files, section).to.have.property('size').within(1, most)
    }
  })

  // Every run executes the code; this also checks its types.
  itLong('has code that compiles', async () => {
    const config = JSON.parse(await readFile(join(root, 'tsconfig.json'), 'utf8')) as object
    const include = COPIED.filter((path) => !path.includes('.'))
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ ...config, include }))
    await promisify(execFile)(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '--project', folder],
      { cwd: folder },
    ).catch((error: { readonly stdout: string }) => expect.fail(error.stdout))
  })

  describe('when its code runs', () => {
    let database: TestDatabase
    let client: Client
    let reads: CachedReads<Database>
    let server: Server
    let headers: Readonly<Record<string, string>>
    let serviceProjects: Resource
    let projectsOfService: Shape

    before(async () => {
      const load = async <T>(path: string) => (await import(join(folder, path))) as T
      const { migrate } = await load<{ migrate(url: string): Promise<unknown> }>('db/migrate.ts')
      const resources = await load<{
        readonly catalog: readonly ResourceRules[]
        readonly serviceProjects: Resource
      }>('shared/resources/index.ts')
      ;({ serviceProjects } = resources)
      const shapes = await load<{ readonly projectsOfService: Shape }>(
        'shared/shapes/service-projects.ts',
      )
      ;({ projectsOfService } = shapes)
      const { createApp } = await load<{ createApp(options: AppOptions): Express }>('api/app.ts')

      database = await createEmptyDatabase()
      client = new Client({ connectionString: database.url })
      await client.connect()
      await migrate(database.url)
      for (const { path, text } of blocks) if (path === null) await client.query(text)
      await client.query(
        `insert into users_user (id, username, password, is_superuser) values (7, 'u', 'hash', true);
         insert into agencies_departmentalservice (id, name) values (1, 'Herbarium'), (2, 'Library');
         insert into projects_project (id, year, number, title) values (5, 2024, 1, 'Banksia');
         insert into projects_projectdetail (project_id, service_id) values (5, 1);`,
      )
      await install(database.url, compileRules(resources.catalog))
      reads = await openCachedReads<Database>(database.url, resources.catalog, 'example')
      const { db, reader } = reads
      const logger = winston.createLogger({ silent: true })
      const app = createApp({ config: httpConfig, reader, db, logger, isReady: () => true })
      server = createServer(app)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const [secret = ''] = httpConfig.sessionSecrets
      headers = await sessionHeaders(await createSessions([secret]).issue('7', 'hash'), secret)
    })
    after(async () => {
      await closeServer(server)
      await reads[Symbol.asyncDispose]()
      await client.end()
      await database[Symbol.asyncDispose]()
    })

    const url = (id: string) => {
      const { port } = server.address() as AddressInfo
      return `http://127.0.0.1:${port}/api/v1/agencies/services/${id}/projects`
    }

    it('invalidates entries at every change of what they show', async () => {
      const read = (service_id: string) => reads.reader.read(serviceProjects, { service_id }, 'all')

      expect(projectsOfService.parse(JSON.parse(String((await read('1')).body)))).to.deep.equal({
        name: 'Herbarium',
        summary: null,
        projects: [{ id: 5, title: 'Banksia' }],
        links: [],
      })
      for (const change of [
        `update agencies_departmentalservice set name = 'Flora' where id = 1`,
        `update agencies_departmentalservice set summary = 'Plants' where id = 1`,
        `update projects_project set title = 'Acacia' where id = 5`,
        `insert into agencies_servicelink (service_id, url) values (1, '/flora')`,
        `update agencies_servicelink set url = '/plants'`,
        `update projects_projectdetail set service_id = 2`,
        `delete from agencies_departmentalservice where id = 1`,
      ]) {
        for (const id of ['1', '2', '3'])
          await until(async () => (await read(id)).outcome === 'hit')
        await client.query(change)
        await reads.untilApplied()
        expect((await read('1')).outcome, change).to.equal('miss')
        expect((await read('3')).outcome, change).to.equal('hit')
      }
      expect((await read('1')).body).to.equal(null)
      expect(String((await read('2')).body)).to.include('Acacia')
    })

    it('answers a request from Redis, and with the new value after a write', async () => {
      const get = () => fetch(url('2'), { headers })
      expect((await fetch(url('2'))).status).to.equal(401)
      expect((await fetch(url('9'), { headers })).status).to.equal(404)
      await until(async () => /; hit/.test((await get()).headers.get('cache-status') ?? ''))
      const { links } = (await (await get()).json()) as { readonly links: unknown }
      expect(links).to.deep.equal([])

      const written = await fetch(url('2'), {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'application/json' },
        body: JSON.stringify({ url: '/books' }),
      })
      expect(written.status).to.equal(200)
      await reads.untilApplied()
      const read = await get()
      expect(read.headers.get('cache-status')).to.match(/fwd=miss/)
      expect(read.headers.get('etag')).to.equal(written.headers.get('etag'))
      const shown: unknown = await read.json()
      expect(shown).to.deep.equal(await written.json())
      expect(shown).to.have.deep.property('links', [{ url: '/books' }])
    })
  })
})

interface Shape {
  parse(value: unknown): unknown
}

interface Block {
  readonly section: string
  /** Null for SQL that the owner of the database runs. */
  readonly path: string | null
  readonly text: string
  /** The changes of an existing file; null for a new file. */
  readonly hunks: readonly string[] | null
}

/** Returns the blocks of TypeScript, SQL and changes. The first line of a block names its file. */
function blocksOf(page: string): readonly Block[] {
  return page.split(/^## /m).flatMap((part) => {
    const [section = ''] = part.split('\n', 1)
    return [...part.matchAll(/^```(ts|sql|diff)\n(.*?)^```$/gms)].map(([, kind, text = '']) => {
      const path = /^(?:\/\/|---?) ([\w/.-]+)\n/.exec(text)?.[1] ?? null
      const hunks = kind === 'diff' ? text.slice(text.indexOf('\n') + 1).split(/^@@\n/m) : null
      return { section, path, text, hunks }
    })
  })
}

/** Replaces the old lines of each hunk, which stand once after those of the hunk before it. */
function applied(hunks: readonly string[], content: string, path: string): string {
  let done = ''
  let rest = content
  for (const hunk of hunks) {
    const lines = hunk.split('\n').slice(0, -1)
    const side = (sign: string) =>
      lines
        .filter((line) => line === '' || line.startsWith(' ') || line.startsWith(sign))
        .map((line) => `${line.slice(1)}\n`)
        .join('')
    const at = rest.indexOf(side('-'))
    if (at === -1) throw new Error(`${path} has no lines\n${side('-')}`)
    done += rest.slice(0, at) + side('+')
    rest = rest.slice(at + side('-').length)
  }
  return done + rest
}
