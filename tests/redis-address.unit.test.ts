import { expect } from 'chai'
import { maskUrl } from '../scripts/mask-url.ts'
import { ConfigurationError } from '../shared/errors.ts'
import { parseRedisUrl } from '../shared/cache/index.ts'

const SENTINELS =
  'redis-sentinel://me:s%40cret@one,two:5000,[::1]:6000/3?sentinelPassword=hush#main'

describe('parseRedisUrl', () => {
  it('parses the address of a server', () => {
    expect(parseRedisUrl('rediss://me:s%40cret@cache.example:6380/2')).to.eql({
      kind: 'server',
      host: 'cache.example',
      port: 6380,
      database: 2,
      tls: true,
      username: 'me',
      password: 's@cret',
    })
    expect(parseRedisUrl('redis://[::1]:7000')).to.include({ host: '::1', port: 7000 })
    expect(parseRedisUrl('redis://cache.example')).to.include({ port: 6379, database: 0 })
  })

  it('parses the addresses of sentinels', () => {
    expect(parseRedisUrl(SENTINELS)).to.eql({
      kind: 'sentinel',
      master: 'main',
      sentinels: [
        { host: 'one', port: 26379 },
        { host: 'two', port: 5000 },
        { host: '::1', port: 6000 },
      ],
      database: 3,
      tls: false,
      username: 'me',
      password: 's@cret',
      sentinelPassword: 'hush',
    })
    expect(parseRedisUrl('rediss-sentinel://:secret@one#main')).to.include({
      tls: true,
      password: 'secret',
      database: 0,
    })
  })

  for (const [url, parameter] of [
    ['redis://:hush@one?keyPrefix=app:', 'keyPrefix'],
    ['redis://:hush@one/0?db=3', 'db'],
    ['redis://:hush@one?family=6', 'family'],
    ['redis://one?password=hush', 'password'],
    ['redis://:hush@one?KEYPREFIX=app:', 'KEYPREFIX'],
    ['redis-sentinel://:hush@one?keyPrefix=app:#main', 'keyPrefix'],
  ] as const) {
    it(`rejects the parameter of ${url.replaceAll('hush', '***')} and names it`, () => {
      expect(() => parseRedisUrl(url))
        .to.throw(ConfigurationError, `the parameter "${parameter}" is not supported`)
        .and.satisfy(({ message }: Error) => !message.includes('hush'))
    })
  }

  for (const text of [
    'redis://one#main',
    'redis://one:70000',
    'localhost',
    'http://localhost',
    'redis://',
    'redis://one/nought',
    'redis://one,two',
    'redis-sentinel://one',
    'redis-sentinel://one,#main',
    'redis-sentinel://one:port#main',
    'redis-sentinel://me:%zz@one#main',
  ]) {
    it(`rejects ${text}`, () => expect(() => parseRedisUrl(text)).to.throw(ConfigurationError))
  }
})

describe('maskUrl', () => {
  it('hides every password of an address', () => {
    expect(maskUrl(SENTINELS)).to.equal(
      'redis-sentinel://me:***@one,two:5000,[::1]:6000/3?sentinelPassword=***#main',
    )
  })
})
