import { expect } from 'chai'
import { apiConfig } from '../api/config.ts'
import { invalidatorConfig } from '../invalidator/config.ts'
import { type Environment, parseConfig } from '../shared/config.ts'
import { ConfigurationError } from '../shared/errors.ts'

const names = ['staff:list', 'user:access']
const needed: Environment = {
  DATABASE_URL: 'postgres://u:p@localhost/spms',
  REDIS_URL: 'redis://localhost',
  SESSION_SECRETS: 's'.repeat(32),
}
const parse = (environment: Environment) => parseConfig(apiConfig(names), environment)
const mistakesIn = (environment: Environment): string => {
  try {
    parse(environment)
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message
    throw error
  }
  return ''
}

describe('configuration', () => {
  it('takes defaults for what is not set, or set to nothing', () => {
    const config = parse({ ...needed, PORT: '', TRUST_PROXY: '' })
    expect(config).to.include({ port: 8000, host: '127.0.0.1' })
    expect(config.http).to.deep.include({
      trustProxy: false,
      rateLimit: { perS: 100, burst: 400 },
      edgeMaxAgeS: 0,
    })
    expect([...config.cache.resources]).to.deep.equal(names)
  })

  it('reports every mistake at once, by name, and no secret', () => {
    const mistakes = mistakesIn({
      DATABASE_URL: 'mysql://root:hunter2@localhost/spms',
      REDIS_URL: 'localhost',
      CACHE_ENABLED: 'perhaps',
      CACHE_RESOURCES: 'staff:list,nonsense',
      CACHE_TTL_OVERRIDES: 'staff:list=soon',
      SESSION_SECRETS: 'hunter2',
      TRUST_PROXY: 'true',
      PORT: '99999',
      LOG_LEVEL: 'loud',
      RATE_LIMIT_PER_S: 'x',
    })
    expect(mistakes.split('\n').map((line) => line.split(/[:.]/)[0])).to.deep.equal([
      'CACHE_ENABLED',
      'CACHE_RESOURCES',
      'CACHE_TTL_OVERRIDES',
      'DATABASE_URL',
      'LOG_LEVEL',
      'PORT',
      'RATE_LIMIT_PER_S',
      'REDIS_URL',
      'SESSION_SECRETS',
      'TRUST_PROXY',
    ])
    expect(mistakes).not.to.include('hunter2')
  })

  it('does without a Redis only when the cache is off', () => {
    const { REDIS_URL: _, ...rest } = needed
    expect(mistakesIn(rest)).to.equal('REDIS_URL: is needed unless CACHE_ENABLED=false')
    expect(parse({ ...rest, CACHE_ENABLED: 'false' }).cache.enabled).to.be.false
    expect(() => parseConfig(invalidatorConfig, rest)).to.throw('REDIS_URL: is not set')
  })

  it('reads lists', () => {
    const config = parse({
      ...needed,
      CACHE_RESOURCES: ' user:access ',
      CACHE_TTL_OVERRIDES: 'staff:list=60, user:access=5',
      SESSION_SECRETS: `${'a'.repeat(32)},${'b'.repeat(32)}`,
      TRUST_PROXY: 'loopback, 10.0.0.0/8',
    })
    expect([...config.cache.resources]).to.deep.equal(['user:access'])
    expect([...config.cache.ttlOverridesMs]).to.deep.equal([
      ['staff:list', 60_000],
      ['user:access', 5_000],
    ])
    expect(config.http.sessionSecrets).to.have.length(2)
    expect(config.http.trustProxy).to.deep.equal(['loopback', '10.0.0.0/8'])
  })

  it('reads a number of proxies', () => {
    expect(parse({ ...needed, TRUST_PROXY: '2' }).http.trustProxy).to.equal(2)
    expect(parse({ ...needed, TRUST_PROXY: '0' }).http.trustProxy).to.be.false
  })
})
