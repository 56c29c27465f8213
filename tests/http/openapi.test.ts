import { Validator } from '@seriousme/openapi-schema-validator'
import { expect } from 'chai'
import { z } from 'zod'
import { startTestApi, type TestApi } from '../routes/test-api.ts'
import { mountedRoutes } from '../support/mounted-routes.ts'

const document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.looseObject({ summary: z.string() }))),
})

const SUE = 3
/** Ids in `world.sql`. Each read is tried with all of them. */
const IDS = [
  '1',
  '2',
  '3',
  '11',
  '21',
  '31',
  '35',
  '41',
  '51',
  '55',
  '61',
  '204',
  '205',
  '221',
  '241',
]

describe('the OpenAPI document', function () {
  this.timeout(60_000)
  let api: TestApi
  let documented: z.output<typeof document>

  before(async () => {
    api = await startTestApi()
    await api.reset()
    const { status, headers, body } = await api.send('GET', 'openapi.json')
    expect(status).to.equal(200)
    expect(headers['content-type']).to.equal('application/json; charset=utf-8')
    documented = document.parse(body)
  })
  after(() => api[Symbol.asyncDispose]())

  const operations = () =>
    Object.entries(documented.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )

  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(documented))
    expect(errors).to.be.undefined
    expect(valid).to.be.true
    expect(validator.version).to.equal('3.1')
    expect(validator.resolveRefs()).to.be.an('object')
  })

  it('lists every method of every route, and nothing else', () => {
    const routed = mountedRoutes(api.app).map(
      ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`,
    )
    // A route that is missing here was mounted without a declaration.
    expect(operations()).to.have.members(routed)
  })

  it('has a unique operationId for every operation', () => {
    const ids = Object.values(documented.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    expect(ids).to.have.length(new Set(ids).size).and.to.have.length.above(0)
  })

  it('matches the routes that reject anonymous requests with 401', async () => {
    for (const { method, path, endpoint } of mountedRoutes(api.app)) {
      if (!endpoint || !path.startsWith('/api/v1/')) continue
      const asked = path.replace('/api/v1/', '').replaceAll(/:\w+/g, '1')
      const { status } = await api.send(method.toUpperCase(), asked)
      const name = `${method} ${path}`
      if (endpoint.access.kind === 'anyone') expect(status, name).not.to.equal(401)
      else expect(status, name).to.equal(401)
    }
  })

  it('describes the response bodies of reads', async () => {
    const proven = new Set<string>()
    const reads = mountedRoutes(api.app).filter(
      ({ method, path }) => method === 'get' && path.startsWith('/api/v1/'),
    )
    for (const { path, endpoint } of reads) {
      const shape = endpoint?.answers[200]
      if (!(shape instanceof z.ZodType)) continue
      const ids = path.includes(':') ? IDS : ['']
      await Promise.all(
        ids.map(async (id) => {
          const asked = path.replace('/api/v1/', '').replaceAll(/:\w+/g, id)
          const { status, body } = await api.send('GET', asked, { as: SUE })
          if (status !== 200) return
          const { error } = shape.safeParse(body)
          expect(error?.issues, `${asked}: ${JSON.stringify(body)}`).to.be.undefined
          proven.add(path)
        }),
      )
    }
    expect(proven.size).to.be.above(reads.length / 2)
  })

  it('is not served if DOCS_ENABLED is false', async () => {
    await using quiet = await startTestApi({ http: { docsEnabled: false } })
    for (const path of ['openapi.json', 'docs', 'docs/swagger-ui.css']) {
      expect((await quiet.send('GET', path)).status, path).to.equal(404)
    }
  })

  it('is shown on a page that loads nothing from other hosts', async () => {
    const page = await api.send('GET', 'docs')
    expect(page.status).to.equal(200)
    expect(page.headers['content-type']).to.equal('text/html; charset=utf-8')
    const policy = String(page.headers['content-security-policy'])
    expect(policy).to.include("default-src 'none'").and.to.include("connect-src 'self'")
    expect(policy).not.to.match(/script-src[^;]*unsafe/)
    const html = String(page.body)
    expect(html).not.to.match(/https?:/)
    const files = [...html.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(
      ([, file = '']) => file,
    )
    expect(files).to.have.length(2)
    for (const file of files) {
      const { status, headers } = await api.send('GET', file)
      expect(status, file).to.equal(200)
      expect(headers['content-type'], file).to.match(/^text\/(css|javascript)/)
    }
    for (const other of ['docs/package.json', 'docs/..%2fpackage.json', 'docs/index.js']) {
      expect((await api.send('GET', other)).status, other).to.equal(404)
    }
  })
})
