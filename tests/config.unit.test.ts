import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { apiConfig } from '../api/config.ts'
import { invalidatorConfig } from '../invalidator/config.ts'
import { type Environment, parseConfig } from '../shared/config.ts'
import { ConfigurationError } from '../shared/errors.ts'
import { withSecretFiles } from '../shared/secret-files.ts'

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
  it('applies defaults to settings that are missing or empty', () => {
    const config = parse({ ...needed, PORT: '', TRUST_PROXY: '' })
    expect(config).to.include({ port: 8000, host: '127.0.0.1' })
    expect(config.http).to.deep.include({
      trustProxy: false,
      rateLimit: { perS: 100, burst: 400 },
      edgeMaxAgeS: 0,
      timeZone: 'Australia/Perth',
      bearer: null,
      corsOrigins: [],
      tokenLifetimeMs: 30_000,
    })
    expect(config.cache.maxStalenessMs).to.equal(10_000)
    expect([...config.cache.resources]).to.deep.equal(names)
  })

  it('keeps files in a directory, or in Azure with both of its settings', () => {
    const [connectionString, container] = ['AccountName=spms', 'files']
    expect(parse(needed).storage).to.deep.equal({ directory: 'files' })
    expect(parse({ ...needed, MEDIA_ROOT: '/media' }).storage).to.deep.equal({
      directory: '/media',
    })
    const azure = {
      AZURE_STORAGE_CONNECTION_STRING: connectionString,
      AZURE_STORAGE_CONTAINER: container,
    }
    expect(parse({ ...needed, ...azure }).storage).to.deep.equal({
      azure: { connectionString, container },
    })
    for (const name of Object.keys(azure)) {
      expect(mistakesIn({ ...needed, ...azure, [name]: '' })).to.include('AZURE_STORAGE_CONTAINER')
    }
  })

  it('reads secrets from files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'config-'))
    const path = join(folder, 'url')
    try {
      await writeFile(path, 'postgres://u:p@localhost/spms\n')
      const { DATABASE_URL, ...others } = needed
      const environment = { ...others, DATABASE_URL_FILE: path }
      expect(parse(withSecretFiles(environment)).database.url).to.equal(DATABASE_URL)
      expect(() => withSecretFiles({ ...needed, DATABASE_URL_FILE: path })).to.throw(
        ConfigurationError,
        'DATABASE_URL: is set, and so is DATABASE_URL_FILE',
      )
      await rm(path)
      expect(() => withSecretFiles(environment)).to.throw(
        ConfigurationError,
        /^DATABASE_URL_FILE: cannot read this file: ENOENT/,
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('reports all mistakes at once, by setting name and without secrets', () => {
    const mistakes = mistakesIn({
      DATABASE_URL: 'mysql://root:hunter2@localhost/spms',
      REDIS_URL: 'localhost',
      CACHE_ENABLED: 'perhaps',
      CACHE_RESOURCES: 'staff:list,nonsense',
      CACHE_TTL_OVERRIDES: 'staff:list=soon',
      SESSION_SECRETS: 'hunter2',
      TRUST_PROXY: 'true',
      TIME_ZONE: 'Australia/Nowhere',
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
      'TIME_ZONE',
      'TRUST_PROXY',
    ])
    expect(mistakes).not.to.include('hunter2')
  })

  it('requires REDIS_URL unless the cache is disabled', () => {
    const { REDIS_URL: _, ...rest } = needed
    expect(mistakesIn(rest)).to.equal('REDIS_URL: is needed unless CACHE_ENABLED=false')
    expect(parse({ ...rest, CACHE_ENABLED: 'false' }).cache.enabled).to.be.false
    expect(() => parseConfig(invalidatorConfig, rest)).to.throw('REDIS_URL: is not set')
  })

  it('parses comma-separated lists', () => {
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

  it('requires all settings of the token issuer, or none', () => {
    const issuer = {
      JWT_ISSUER: 'https://login.example/',
      JWT_AUDIENCE: 'spms, api',
      JWT_JWKS_URL: 'https://login.example/keys',
    }
    expect(parse({ ...needed, ...issuer }).http.bearer).to.deep.equal({
      issuer: 'https://login.example/',
      audiences: ['spms', 'api'],
      jwksUrl: 'https://login.example/keys',
      algorithms: ['RS256', 'ES256'],
      userClaim: 'email',
      emailVerifiedClaim: 'email_verified',
      maxLifetimeS: 86_400,
    })
    for (const url of [
      'http://127.0.0.1:8080/keys',
      'http://localhost/keys',
      'http://[::1]/keys',
    ]) {
      const here = { ...needed, ...issuer, JWT_JWKS_URL: url }
      expect(parse(here).http.bearer?.jwksUrl).to.equal(url)
    }
    for (const name of Object.keys(issuer)) {
      const mistake = `${name}: is needed with the other settings of the token issuer`
      expect(mistakesIn({ ...needed, ...issuer, [name]: undefined })).to.equal(mistake)
      // The mistake is reported beside other mistakes too.
      const { SESSION_SECRETS: _, ...less } = needed
      expect(mistakesIn({ ...less, ...issuer, [name]: '' })).to.include(mistake)
    }
    for (const [name, value] of [
      ['JWT_ALGORITHMS', 'RS256,HS256'],
      ['JWT_ALGORITHMS', 'none'],
      ['JWT_USER_CLAIM', 'preferred_username'],
      ['JWT_JWKS_URL', 'file:///keys'],
      ['JWT_JWKS_URL', 'http://login.example/keys'],
      ['JWT_JWKS_URL', 'http://127.0.0.1.login.example/keys'],
      ['JWT_JWKS_URL', 'http://localhost.example/keys'],
      ['JWT_JWKS_URL', 'nowhere'],
      ['JWT_EMAIL_VERIFIED_CLAIM', 'email'],
      ['JWT_MAX_LIFETIME_S', '0'],
      ['JWT_AUDIENCE', 'spms,'],
    ] as const) {
      expect(mistakesIn({ ...needed, ...issuer, [name]: value }), value).to.match(
        new RegExp(`^${name}[.:]`),
      )
    }
  })

  it('accepts CORS origins only in the form that browsers send', () => {
    const origins = 'https://spms.example, http://127.0.0.1:3000'
    expect(parse({ ...needed, CORS_ORIGINS: origins }).http.corsOrigins).to.deep.equal([
      'https://spms.example',
      'http://127.0.0.1:3000',
    ])
    for (const wrong of ['*', 'spms.example', 'https://spms.example/', 'https://a.b:443', 'null']) {
      expect(mistakesIn({ ...needed, CORS_ORIGINS: wrong }), wrong).to.match(/^CORS_ORIGINS/)
    }
  })

  it('divides the connection pool among loads, writes and health checks', () => {
    const sharesOf = (environment: Environment) => {
      const { reads, writes, loads } = parse({ ...needed, ...environment }).connections
      return [reads, writes, loads]
    }
    expect(sharesOf({})).to.deep.equal([9, 3, 8])
    expect(sharesOf({ DB_POOL_SIZE: '3' })).to.deep.equal([2, 1, 1])
    expect(sharesOf({ DB_POOL_SIZE: '10', WRITE_CONCURRENCY: '4' })).to.deep.equal([6, 4, 5])
    expect(sharesOf({ LOAD_CONCURRENCY: '2' })).to.deep.equal([9, 3, 2])
    const tooMany =
      'DB_POOL_SIZE: must be more than LOAD_CONCURRENCY and WRITE_CONCURRENCY together'
    expect(mistakesIn({ ...needed, LOAD_CONCURRENCY: '9' })).to.equal(tooMany)
    expect(mistakesIn({ ...needed, WRITE_CONCURRENCY: '11' })).to.equal(tooMany)
    expect(mistakesIn({ ...needed, DB_POOL_SIZE: '2' })).to.match(/^DB_POOL_SIZE/)
  })

  it('accepts a number of proxies in TRUST_PROXY', () => {
    expect(parse({ ...needed, TRUST_PROXY: '2' }).http.trustProxy).to.equal(2)
    expect(parse({ ...needed, TRUST_PROXY: '0' }).http.trustProxy).to.be.false
  })
})
