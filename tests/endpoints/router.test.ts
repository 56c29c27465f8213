import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { createEndpointRouter, type Endpoint } from '../../api/endpoints/index.ts'
import { PublicError } from '../../shared/errors.ts'
import { startTestApi } from '../routes/test-api.ts'
import { mountedRoutes } from '../support/mounted-routes.ts'

/** The endpoint that a request reaches with its parameters, or the status of its rejection. */
type Reached = string | number

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']
const SHUFFLES = 5

describe('the router of endpoints', () => {
  let endpoints: readonly Endpoint[]

  before(async () => {
    await using api = await startTestApi()
    endpoints = mountedRoutes(api.app).flatMap(({ endpoint, path }) =>
      endpoint && path.startsWith('/api/v1/') ? [endpoint] : [],
    )
    expect(endpoints).to.have.length.above(100)
  })

  it('reaches the same endpoints for every order of the list', async () => {
    const requests = pathsThatMayCollide(endpoints).flatMap((path) =>
      METHODS.map((method) => [method, path] as const),
    )
    expect(requests).to.have.length.above(2_000)
    const wanted = await reachedBy(endpoints, requests)
    expect(wanted.filter((reached) => typeof reached === 'string')).to.have.length.above(300)
    for (let seed = 1; seed <= SHUFFLES; seed++) {
      const found = await reachedBy(shuffled(endpoints, seed), requests)
      const differing = requests.filter((_, i) => found[i] !== wanted[i])
      expect(differing, `seed ${seed}`).to.deep.equal([])
    }
  })

  it('prefers a literal segment to a parameter, from the first segment on', async () => {
    const paths = ['/a/:x/:y', '/a/:x/c', '/a/b/:y', '/:w/b/c']
    const list = paths.map((path) => ({ ...first(endpoints), path }))
    const reached = await reachedBy(list, [
      ['GET', '/a/b/c'],
      ['GET', '/a/z/c'],
      ['GET', '/a/z/z'],
      ['GET', '/z/b/c'],
    ])
    expect(reached).to.deep.equal([
      'get /a/b/:y {"y":"c"}',
      'get /a/:x/c {"x":"z"}',
      'get /a/:x/:y {"x":"z","y":"z"}',
      'get /:w/b/c {"w":"z"}',
    ])
  })

  it('rejects two endpoints with the same method and path', () => {
    const one = first(endpoints)
    expect(() => routerOf([one, one])).to.throw(`${one.path} has two endpoints of a method`)
  })

  const first = ([one]: readonly Endpoint[]): Endpoint => {
    if (one === undefined) throw new Error('no endpoint')
    return { ...one, method: 'get' }
  }
})

/** A router whose handlers report that they were reached. */
const routerOf = (endpoints: readonly Endpoint[]) =>
  createEndpointRouter(
    endpoints.map((endpoint) => ({
      ...endpoint,
      createHandler: () => (req, res) => {
        res.end(`${endpoint.method} ${endpoint.path} ${JSON.stringify(req.params)}`)
      },
    })),
    {} as Parameters<Endpoint['createHandler']>[0],
    { rejectsOtherMethods: true },
  )

function reachedBy(
  endpoints: readonly Endpoint[],
  requests: readonly (readonly [method: string, path: string])[],
): Promise<readonly Reached[]> {
  const router = routerOf(endpoints)
  const send = (method: string, url: string): Promise<Reached> =>
    new Promise((resolve) => {
      const res = { end: resolve, setHeader: () => res } as unknown as ServerResponse
      router(
        { method, url } as IncomingMessage & Parameters<typeof router>[0],
        res as Parameters<typeof router>[1],
        (error) => resolve(error instanceof PublicError ? error.status : 404),
      )
    })
  return Promise.all(requests.map(([method, path]) => send(method, path)))
}

/** Returns paths in which each parameter is replaced by the literals of other paths in its place. */
function pathsThatMayCollide(endpoints: readonly Endpoint[]): readonly string[] {
  const all = [...new Set(endpoints.map(({ path }) => path))].map((path) => path.split('/'))
  const literalsAt = (length: number, i: number) =>
    all.flatMap((segments) => {
      const segment = segments[i] ?? ''
      return segments.length === length && !segment.startsWith(':') ? [segment] : []
    })
  const filled = (segments: readonly string[]): readonly string[] => {
    const i = segments.findIndex((segment) => segment.startsWith(':'))
    if (i === -1) return [segments.join('/')]
    const values = new Set(['1', ...literalsAt(segments.length, i)])
    return [...values].flatMap((value) => filled(segments.with(i, value)))
  }
  return [...new Set(all.flatMap(filled))]
}

/** Returns a list in an order that depends on the seed only. */
function shuffled<T>(list: readonly T[], seed: number): readonly T[] {
  let state = seed
  const random = () => (state = (state * 48_271) % 2_147_483_647)
  return list
    .map((item) => [random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item)
}
