import { expect } from 'chai'
import { parseDatabaseUrl } from '../db/event-log/index.ts'
import { discover } from '../scripts/servers/discover.ts'
import { ConfigurationError } from '../shared/errors.ts'

describe('parseDatabaseUrl', () => {
  it('parses host, port, user, password, database and search_path', () => {
    expect(
      parseDatabaseUrl('postgres://me:s%40cret@db.example:6543/spms?search_path=app,"Old",public'),
    ).to.eql({
      host: 'db.example',
      port: 6543,
      user: 'me',
      password: 's@cret',
      database: 'spms',
      ssl: false,
      searchPath: ['app', 'Old', 'public'],
    })
  })

  it('parses an IPv6 address and the directory of a Unix socket', () => {
    expect(parseDatabaseUrl('postgresql://[::1]/spms')).to.include({ host: '::1' })
    for (const url of ['postgres://%2Frun%2Fpg/spms', 'postgres:///spms?host=/run/pg']) {
      expect(parseDatabaseUrl(url)).to.include({ host: '/run/pg', database: 'spms' })
    }
  })

  it('verifies the certificate and the host with sslmode=require and verify-full', () => {
    for (const mode of ['require', 'verify-full']) {
      expect(parseDatabaseUrl(`postgres://db/spms?sslmode=${mode}`).ssl).to.eql({
        rejectUnauthorized: true,
      })
    }
    expect(parseDatabaseUrl('postgres://db/spms?sslmode=no-verify').ssl).to.eql({
      rejectUnauthorized: false,
    })
  })

  for (const [parameters, message] of [
    ['options=-c%20search_path%3Dpublic', 'the parameter "options" is not supported'],
    ['application_name=x', 'the parameter "application_name" is not supported'],
    ['statement_timeout=1', 'the parameter "statement_timeout" is not supported'],
    ['idle_session_timeout=0', 'the parameter "idle_session_timeout" is not supported'],
    ['replication=database', 'the parameter "replication" is not supported'],
    ['client_encoding=latin1', 'the parameter "client_encoding" is not supported'],
    ['OPTIONS=-c%20jit%3Doff', 'the parameter "OPTIONS" is not supported'],
    ['password=hush', 'the parameter "password" is not supported'],
    ['ssl=true', 'the parameter "ssl" is not supported: write sslmode=verify-full'],
    ['sslmode=prefer', 'sslmode="prefer" is not supported'],
    ['sslmode=disable&sslmode=require', 'the parameter sslmode is given twice'],
    ['sslmode=verify-ca', 'sslmode=verify-ca needs sslrootcert'],
    ['sslrootcert=/nowhere.pem', 'sslrootcert: cannot read /nowhere.pem (ENOENT)'],
    ['sslcert=/nowhere.pem', 'sslcert and sslkey are needed together'],
    ['search_path="$user",public', 'search_path must not name $user'],
    ['search_path=public,pg_temp', 'search_path must not name pg_temp'],
    ['search_path=', 'search_path is a comma list of schemas'],
    ['host=other', 'the parameter "host" is only supported for the directory of a socket'],
  ] as const) {
    it(`rejects ${parameters.replace('hush', '***')} and names the parameter`, () => {
      expect(() => parseDatabaseUrl(`postgres://me:hush@db/spms?${parameters}`))
        .to.throw(ConfigurationError, message)
        .and.satisfy((error: Error) => !error.message.includes('hush'))
    })
  }

  for (const url of [
    'mysql://me:hush@db/spms',
    'postgres://me:hu#sh@db/spms',
    'postgres://me:hush%@db/spms',
    'postgres://me:hush@one,two/spms',
    'hush',
  ]) {
    it(`rejects ${url.replace(/hu#?sh/, '***')} without showing the password`, () => {
      expect(() => parseDatabaseUrl(url))
        .to.throw(ConfigurationError)
        .and.satisfy((error: Error) => !/hu#?sh/.test(error.message))
    })
  }
})

describe('the connection settings of a command', () => {
  const errorFor = (env: NodeJS.ProcessEnv) =>
    discover('/nowhere', env).then(
      () => expect.fail('nothing was rejected'),
      (error: Error) => error.message,
    )

  it('are named in the error that rejects a URL', async () => {
    expect(
      await errorFor({
        DATABASE_URL: 'postgres://me:hush@db/spms?options=-c%20search_path%3Dpublic',
        REDIS_URL: 'redis://:hush@cache?keyPrefix=app:',
      }),
    ).to.match(/^DATABASE_URL: the parameter "options" .*\nREDIS_URL: the parameter "keyPrefix" /)
  })

  it('must not include PGSSLMODE, which the driver would read', async () => {
    expect(await errorFor({ DATABASE_URL: 'postgres://db/spms', PGSSLMODE: 'require' })).to.match(
      /^PGSSLMODE: is not read: write sslmode=/,
    )
  })
})
