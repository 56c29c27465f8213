import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Express } from 'express'
import { z } from 'zod'
import { root } from '../../scripts/paths.ts'
import type { TestApi } from '../routes/test-api.ts'
import { mountedRoutes } from '../support/mounted-routes.ts'
import { disagreements } from './disagreements.ts'
import { describeAccess } from './page.ts'
import {
  type AccessRow,
  type Kind,
  KINDS,
  probeAccess,
  type ProbedApi,
  startProbedApi,
} from './probe.ts'

const KIND_NAMES = Object.keys(KINDS) as Kind[]

/** The GET route that shows what a write changes, where the paths do not match. */
const SHOWN_BY: Readonly<Record<string, string>> = {
  '/caretakers/requests/:id': '/adminoptions/tasks/:id',
}

const endpointsOf = (app: Express) => mountedRoutes(app).flatMap(({ endpoint }) => endpoint ?? [])

describe('access to the API', function () {
  this.timeout(120_000)
  let probed: ProbedApi
  let api: TestApi
  let rows: readonly AccessRow[]

  before(async () => {
    probed = await startProbedApi()
    ;({ api } = probed)
    rows = await probeAccess(probed)
  })
  after(() => probed[Symbol.asyncDispose]())

  it('matches docs/access.md, which `npm run docs` generates', async () => {
    const written = await readFile(join(root, 'docs/access.md'), 'utf8')
    expect(describeAccess(rows)).to.equal(written)
  })

  it('is the access that each endpoint declares', async () => {
    expect(disagreements(endpointsOf(api.app), rows)).to.deep.equal([])
  })

  for (const [operation, wrong] of [
    ['POST /agencies/branches', 'POST /agencies/branches () answers user with yes'],
    ['GET /caretakers/tasks/:id', 'GET /caretakers/tasks/:id (existing) answers user with yes'],
    [
      'POST /projects/project_members',
      'POST /projects/project_members (existing project) answers member with yes',
    ],
  ] as const) {
    it(`differs from the declaration if ${operation} does not enforce its rule`, async () => {
      const endpoints = endpointsOf(api.app).filter(
        ({ method, path }) => `${method.toUpperCase()} ${path}` === operation,
      )
      const [rule] = endpoints.map(({ access }) => access)
      const enforced = { ...rule }
      try {
        Object.assign(rule ?? {}, { enforce: async () => undefined })
        expect(disagreements(endpoints, await probeAccess(probed, [operation]))).to.include(wrong)
      } finally {
        Object.assign(rule ?? {}, enforced)
      }
    })
  }

  it('is probed for every operation', async () => {
    const missing = mountedRoutes(api.app)
      .map(({ method, path }) => `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`)
      .filter((operation) => !rows.some(({ method, path }) => `${method} ${path}` === operation))
    expect(missing).to.deep.equal([])
  })

  it('is granted to superusers except where only the affected user decides', () => {
    const rejected = rows
      .filter(({ access, target }) => access.superuser === 403 && target !== 'missing')
      .map(({ method, path }) => `${method} ${path}`)
    expect([...new Set(rejected)]).to.have.members([
      'POST /adminoptions/tasks/:id/cancel',
      'POST /adminoptions/tasks/:id/respond',
      'POST /projects/:id/toggle_user_profile_visibility',
    ])
  })

  it('is denied to anonymous requests with 401 for existing and missing rows alike', () => {
    for (const { method, path, access, target } of rows) {
      const same = rows.filter((row) => row.path === path && row.method === method)
      const isClosed = same.some((row) => row.access.anonymous === 401)
      expect(access.anonymous === 401, `${method} ${path} ${target}`).to.equal(isClosed)
    }
  })

  it('is denied to anonymous requests with 401 even if the query is invalid', async () => {
    await api.reset()
    const closed = mountedRoutes(api.app).filter(
      ({ method, endpoint }) => method === 'get' && endpoint && endpoint.access.kind !== 'anyone',
    )
    const invalid = closed.flatMap(({ path, endpoint }) => {
      const { query } = endpoint ?? {}
      if (!(query instanceof z.ZodObject)) return []
      const names = Object.keys(query.shape)
      return [`${path.replaceAll(/:\w+/g, '1')}?${names.map((name) => `${name}=%00`).join('&')}`]
    })
    expect(invalid).to.have.length.above(8)
    for (const path of invalid) {
      expect((await api.send('GET', path)).status, path).to.equal(401)
      expect((await api.send('GET', path, { as: 1 })).status, path).to.equal(400)
    }
  })

  it('is never denied with 403 on a read', () => {
    for (const { method, path, access } of rows) {
      if (method === 'GET') expect(Object.values(access), path).not.to.include(403)
    }
  })

  it('distinguishes 403 from 404 only where a read shows the user the existing row', () => {
    for (const { method, path, target, access } of rows) {
      if (method === 'GET' || !path.includes(':')) continue
      const missing = rows.find(
        (row) => row.method === method && row.path === path && row.target === 'missing',
      )
      for (const kind of KIND_NAMES) {
        if (access[kind] !== 403 || missing?.access[kind] !== 404) continue
        const shown = readOf(path, target)
        expect(shown?.access[kind], `${method} ${path} ${target} as ${kind}`).to.equal('yes')
      }
    }
  })

  /** Returns the GET row of the longest prefix of a path, for the same target or else for the first one. */
  function readOf(path: string, target: string): AccessRow | undefined {
    for (let part = path; part.includes(':'); part = part.slice(0, part.lastIndexOf('/'))) {
      const reads = rows.filter(
        (row) => row.method === 'GET' && row.path === (SHOWN_BY[part] ?? part),
      )
      const read = reads.find((row) => target.startsWith(row.target)) ?? reads[0]
      if (read) return read
    }
    return undefined
  }
})
