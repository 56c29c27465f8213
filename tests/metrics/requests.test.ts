import { Agent, request } from 'node:http'
import { expect } from 'chai'
import fc from 'fast-check'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'
import { Scrape } from './scrape.ts'

const REQUESTS = 'spms_http_requests_total'
const SECONDS = 'spms_http_request_duration_seconds'
const PROFILE = { route: '/users/staffprofiles/:id', method: 'GET' }
const FUZZED = 600
const AT_ONCE = 8

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'PURGE']
const LABELS: Readonly<Record<string, RegExp>> = {
  method: /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other)$/,
  status: /^[1-5]\d\d$/,
  cache: /^(hit|miss|stale|bypass|none)$/,
}

describe('request metrics', function () {
  this.timeout(120_000)
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  let system: System
  let profiles: readonly string[]
  let patterns: ReadonlySet<string>

  before(async () => {
    system = await startSystem()
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 3`,
    )
    profiles = rows.map(({ id }) => `users/staffprofiles/${id}`)
    const { paths } = JSON.parse((await system.get('openapi.json')).text) as { paths: object }
    patterns = new Set(
      Object.keys(paths).map((path) => path.replace('/api/v1', '').replaceAll(/\{(\w+)\}/g, ':$1')),
    )
    expect(patterns).to.include(PROFILE.route)
  })
  after(async () => {
    agent.destroy()
    await system[Symbol.asyncDispose]()
  })

  const scrape = async () => new Scrape(await system.scrape())

  /** Sends an arbitrary request and returns the status. */
  function send(method: string, path: string, headers: Record<string, string> = {}) {
    return new Promise<number>((resolve, reject) => {
      request(`${system.apis[0]}`, { agent, method, path, headers }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
        response.on('error', reject)
      })
        .on('error', reject)
        .end()
    })
  }

  it('are labelled with the route pattern, the status and the cache outcome', async () => {
    const [path = ''] = profiles
    await system.get(path)
    await until(async () => (await system.get(path)).cache === 'hit')
    const before = await scrape()
    for (let i = 0; i < 5; i++) expect((await system.get(path)).cache).to.equal('hit')
    await system.get('users/staffprofiles/0')
    await system.get('users/me')
    await system.get('no/such/thing')
    // A response is counted after it has been sent completely.
    await until(async () => (await scrape()).sum(REQUESTS) >= before.sum(REQUESTS) + 8)
    const after = await scrape()
    const counted = (labels: Record<string, string>) =>
      after.sum(REQUESTS, labels) - before.sum(REQUESTS, labels)
    expect(counted({ ...PROFILE, status: '200', cache: 'hit' })).to.equal(5)
    expect(counted({ ...PROFILE, status: '404' })).to.equal(1)
    expect(counted({ route: '/users/me', status: '401', cache: 'none' })).to.equal(1)
    expect(counted({ route: 'none', status: '404', cache: 'none' })).to.equal(1)
    const timed = (cache: string) =>
      after.sum(`${SECONDS}_count`, { cache }) - before.sum(`${SECONDS}_count`, { cache })
    expect(timed('hit')).to.equal(5)
    expect(after.sum(`${SECONDS}_sum`, { cache: 'hit' })).to.be.greaterThan(0)
  })

  it('count cache reads, loads and fills by resource and outcome', async () => {
    const [, path = ''] = profiles
    const before = await scrape()
    await system.get(path)
    await until(async () => (await system.get(path)).cache === 'hit')
    const after = await scrape()
    const grown = (name: string, labels: Record<string, string>) =>
      after.sum(name, { resource: 'staff:profile', ...labels }) -
      before.sum(name, { resource: 'staff:profile', ...labels })
    expect(grown('spms_cache_reads_total', { outcome: 'hit' })).to.equal(1)
    expect(grown('spms_cache_reads_total', { outcome: 'miss' })).to.be.at.least(1)
    expect(grown('spms_cache_loads_total', {})).to.be.at.least(1)
    expect(grown('spms_cache_load_duration_seconds_count', {})).to.be.at.least(1)
    expect(grown('spms_cache_fills_total', { result: 'stored' })).to.equal(1)
  })

  it('have bounded label values for arbitrary requests', async () => {
    const some = await scrape()
    const segment = fc.stringMatching(/^[\w.~-]{0,20}$/)
    const path = fc.oneof(
      fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join('/')}`),
      fc
        .tuple(fc.constantFrom(...patterns), segment)
        .map(([pattern, id]) => pattern.replaceAll(/:\w+/g, id)),
      fc.constantFrom('/metrics', '/livez', '/../metrics', '//', '/users/'),
    )
    const requested = fc.sample(
      fc.tuple(
        fc.constantFrom(...METHODS),
        fc.tuple(fc.constantFrom('', '/api/v1', '/api/v2'), path, fc.webQueryParameters()),
        fc.record({ 'Cache-Status': fc.constant('spms; hit'), 'X-Request-Id': fc.uuid() }),
      ),
      { numRuns: FUZZED, seed: 20260726 },
    )
    let next = 0
    const statuses = new Set<number>()
    const connection = async () => {
      for (let i = next++; i < requested.length; i = next++) {
        const [method, [prefix, at, query], headers] = requested[i] as (typeof requested)[number]
        statuses.add(await send(method, `${prefix}${at}?${query}`, headers))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, connection))
    const all = await scrape()

    expect(statuses.size).to.be.greaterThan(3)
    expect(all.sum(REQUESTS)).to.be.greaterThan(some.sum(REQUESTS) + FUZZED / 2)
    const requests = all.find(REQUESTS)
    for (const { labels } of requests) {
      expect(labels.route === 'none' || patterns.has(labels.route ?? ''), labels.route).to.equal(
        true,
      )
      for (const [label, allowed] of Object.entries(LABELS)) {
        expect(labels[label], label).to.match(allowed)
      }
    }
    const others = (of: Scrape) => of.samples.filter(({ name }) => name !== REQUESTS).length
    // The requests may produce the first sample of some outcomes and reasons.
    expect(others(all) - others(some)).to.be.lessThan(400)
    expect(requests.length).to.be.lessThan(patterns.size * METHODS.length * 2)
  })

  it('are not available on the public port', async () => {
    for (const path of ['/metrics', '/api/v1/metrics', '/health/metrics', '/metrics/']) {
      expect(await send('GET', path), path).to.equal(404)
    }
    for (const text of await system.scrape()) expect(text).to.include('process_cpu_seconds_total')
  })
})
