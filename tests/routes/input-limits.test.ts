import { expect } from 'chai'
import { sql } from 'kysely'
import { z } from 'zod'
import { startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL, SUE] = [1, 2, 3]
const SEARCHES = [
  'projects/list?searchTerm=',
  'projects/smallsearch?searchTerm=',
  'projects/map?searchTerm=',
  'users/list?search=',
  'users/smallsearch?search=',
  'users/staffprofiles?search=',
  'documents/projectdocuments?searchTerm=',
  'agencies/affiliations?searchTerm=',
  'agencies/branches?searchTerm=',
]

/** The parts of a JSON schema that these tests read. */
interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly maxLength?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly format?: string
  readonly enum?: unknown
  readonly const?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
}

/** Returns the places in a schema that accept a string or a list of unlimited length. */
function unlimited(
  found: Schema,
  place: string,
  named: Readonly<Record<string, Schema>>,
): string[] {
  const schema = found.$ref === undefined ? found : named[found.$ref.split('/').at(-1) ?? '']
  if (schema === undefined) throw new Error(`${place}: ${found.$ref} is missing`)
  const own =
    (schema.type === 'string' &&
      schema.maxLength === undefined &&
      schema.enum === undefined &&
      schema.const === undefined &&
      // A setting limits files.
      !['date', 'date-time', 'binary'].includes(schema.format ?? '') &&
      // A pattern without an unbounded quantifier limits the length too.
      /[*+]|,\}|^$/.test(schema.pattern ?? '')) ||
    (schema.type === 'array' && schema.maxItems === undefined)
  return [
    ...(own ? [place] : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) =>
      unlimited(inner, `${place}.${name}`, named),
    ),
    ...[schema.items ?? []].flat().flatMap((inner) => unlimited(inner, `${place}[]`, named)),
    ...[...(schema.anyOf ?? []), ...(schema.allOf ?? []), ...(schema.oneOf ?? [])].flatMap(
      (inner) => unlimited(inner, place, named),
    ),
  ]
}

describe('limits of client input', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi({ http: { bodyLimitBytes: 200_000 } })
  })
  after(() => api[Symbol.asyncDispose]())
  beforeEach(() => api.reset())

  it('are in the OpenAPI document for every string and list of a query or body', async () => {
    const { body } = await api.send('GET', 'openapi.json')
    const { paths, components } = z
      .object({
        paths: z.record(z.string(), z.record(z.string(), z.looseObject({}))),
        components: z.object({ schemas: z.record(z.string(), z.looseObject({})) }),
      })
      .parse(body)
    const places = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, operation]) => {
        const { parameters = [], requestBody } = operation as {
          parameters?: { in: string; name: string; schema: Schema }[]
          requestBody?: { content: Record<string, { schema: Schema }> }
        }
        const named = parameters
          .filter((parameter) => parameter.in === 'query')
          .map(({ name, schema }) => [name, schema] as const)
        const sent = Object.values(requestBody?.content ?? {}).map(
          ({ schema }) => ['body', schema] as const,
        )
        return [...named, ...sent].flatMap(([name, schema]) =>
          unlimited(schema, `${method} ${path} ${name}`, components.schemas),
        )
      }),
    )
    expect(places).to.deep.equal([])
  })

  for (const search of SEARCHES) {
    it(`are 200 characters for a search term: ${search}`, async () => {
      expect((await api.send('GET', search + 'x'.repeat(200), { as: SUE })).status).to.equal(200)
      const rejected = await api.send('GET', search + 'x'.repeat(201), { as: SUE })
      expect(rejected.status).to.equal(400)
      expect(JSON.stringify(rejected.body)).to.include('no more than 200 characters')
    })
  }

  it('count Unicode code points', async () => {
    const put = (about: string) =>
      api.send('PUT', 'users/staffprofiles/41', { as: LEA, body: { about } })
    expect((await put('😀'.repeat(10_000))).status).to.equal(200)
    expect((await put('😀'.repeat(10_001))).status).to.equal(400)
  })

  it('are 20,000 characters for texts whose columns have no limit', async () => {
    const put = (description: string) =>
      api.send('PUT', 'projects/51', { as: LEA, body: { description } })
    expect((await put('x'.repeat(20_000))).status).to.equal(200)
    expect((await put('x'.repeat(20_001))).status).to.equal(400)
  })

  it('are 20 users for one merge', async () => {
    const ids = Array.from({ length: 21 }, (_, n) => n + 100)
    for (const [path, body] of [
      ['adminoptions/mergeusers', { primaryUser: 1, secondaryUsers: ids }],
      ['adminoptions/tasks', { action: 'mergeuser', primary_user: 1, secondary_users: ids }],
    ] as const) {
      const rejected = await api.send('POST', path, { as: SUE, body })
      expect(rejected.status, path).to.equal(400)
      expect(JSON.stringify(rejected.body), path).to.include('no more than 20 items')
    }
  })

  it('are 200 entries of one kind for a CV', async () => {
    await sql`
      insert into users_employmententry (id, public_profile_id, position_title, start_year)
      select 1000 + n, 41, 'Job ' || n, 2000 from generate_series(1, 198) n`.execute(api.db)
    const add = () =>
      api.send('POST', 'users/profiles/41/employment_entries', {
        as: LEA,
        body: { position_title: 'Last', start_year: 2001, employer: null },
      })
    expect((await add()).status).to.equal(201)
    expect((await add()).status).to.equal(409)
  })

  it('do not make a merge request wait for locks on its users', async () => {
    await api.db.transaction().execute(async (other) => {
      await sql`select from users_user where id = 4 for no key update`.execute(other)
      const body = { action: 'mergeuser', primary_user: 1, secondary_users: [4] }
      expect((await api.send('POST', 'adminoptions/tasks', { as: MEL, body })).status).to.equal(201)
    })
  })

  it('do not make a forbidden merge wait for locks on its users', async () => {
    await api.db.transaction().execute(async (other) => {
      await sql`select from users_user where id = 4 for no key update`.execute(other)
      const body = { primaryUser: 1, secondaryUsers: [4] }
      const rejected = await api.send('POST', 'adminoptions/mergeusers', { as: MEL, body })
      expect(rejected.status).to.equal(403)
    })
  })
})

describe('expensive reads of one user', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi({
      http: {
        expensiveReads: { searchesPerMinute: 6, exportsPerMinute: 3, atOnce: 2, queue: 1000 },
      },
    })
    await api.reset()
  })
  after(() => api[Symbol.asyncDispose]())

  for (const [path, allowed] of [
    ['projects/map', 1],
    ['users/list?search=a', 2],
  ] as const) {
    it(`are limited independently of other users: ${path}`, async () => {
      for (let n = 0; n < allowed; n++) {
        expect((await api.send('GET', path, { as: LEA })).status).to.equal(200)
      }
      const rejected = await api.send('GET', path, { as: LEA })
      expect(rejected.status).to.equal(429)
      expect(rejected.headers).to.have.property('retry-after')
      expect((await api.send('GET', path, { as: MEL })).status).to.equal(200)
      expect((await api.send('GET', 'users/11', { as: LEA })).status).not.to.equal(429)
    })
  }
})
