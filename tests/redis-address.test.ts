import { expect } from 'chai'
import { maskUrl } from '../scripts/mask-url.ts'
import { nameRedis, parseRedisUrl } from '../shared/redis-address.ts'

const SENTINELS =
  'redis-sentinel://me:s%40cret@one,two:5000,[::1]:6000/3?sentinelPassword=hush#main'

describe('the address of a Redis', () => {
  it('may be one server', () => {
    expect(parseRedisUrl('rediss://me:secret@cache.example:6380/2')).to.include({
      kind: 'server',
      host: 'cache.example',
      port: 6380,
      database: 2,
    })
    expect(parseRedisUrl('redis://cache.example')).to.include({ port: 6379, database: 0 })
  })

  it('may be a group of sentinels', () => {
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

  for (const text of [
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
    it(`is not ${text}`, () => expect(parseRedisUrl(text)).to.be.null)
  }

  it('has a name without secrets, the same in whatever order the sentinels are given', () => {
    const name = nameRedis(SENTINELS)
    expect(name).to.equal('main@::1:6000,one:26379,two:5000/3')
    expect(nameRedis('redis-sentinel://two:5000,one:26379,[::1]:6000/3#main')).to.equal(name)
    expect(nameRedis('rediss://me:secret@cache.example/2')).to.equal('cache.example:6379/2')
  })

  it('is shown without its passwords', () => {
    expect(maskUrl(SENTINELS)).to.equal(
      'redis-sentinel://me:***@one,two:5000,[::1]:6000/3?sentinelPassword=***#main',
    )
  })
})
