import { expect } from 'chai'
import { compileRules, createIdentityReader, identityKey } from '../../shared/cache/index.ts'
import { AVIARY, type EventLog, openEventLog } from '../event-log/event-log.ts'
import {
  newPrefix,
  startInvalidator,
  testRedisUrl,
  type TestInvalidator,
} from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { BIRDS } from './birds.ts'

describe('identity of a Redis server', function () {
  this.timeout(60_000)
  let log: EventLog

  before(async () => {
    log = await openEventLog(AVIARY, compileRules(BIRDS))
  })
  after(() => log[Symbol.asyncDispose]())

  const start = (prefix: string, redisUrl?: string) =>
    startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      heartbeatMs: 50,
      prefix,
      ...(redisUrl !== undefined && { redisUrl }),
    })

  async function owned({ metrics }: TestInvalidator): Promise<number> {
    const { values } = await metrics.owned.get()
    return values.reduce((sum, { value }) => sum + value, 0)
  }

  /** Whether each resource has one owner and each of the two invalidators owns a resource. */
  const isShared = async (one: TestInvalidator, other: TestInvalidator) => {
    const counts = [await owned(one), await owned(other)]
    return !counts.includes(0) && counts.reduce((a, b) => a + b) === BIRDS.length
  }

  it('is the same for every address of the server', async () => {
    const prefix = newPrefix()
    const url = new URL(testRedisUrl())
    url.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost'
    url.pathname = '/0'
    await using one = start(prefix)
    await using other = start(prefix, url.href)
    await until(() => isShared(one, other))
  })

  it('is read again by a running invalidator after it changed', async () => {
    const prefix = newPrefix()
    await using one = start(prefix)
    await until(() => one.working)
    const before = await createIdentityReader(one.redis, prefix)()
    await one.redis.del(identityKey(prefix))
    await using other = start(prefix)
    await until(() => isShared(one, other))
    expect(await createIdentityReader(one.redis, prefix)()).not.to.equal(before)
  })

  it('is replaced after its data moved to another server or became a value of another type', async () => {
    const prefix = newPrefix()
    await using one = start(prefix)
    await until(() => one.working)
    const read = createIdentityReader(one.redis, prefix)
    const first = await read()
    expect(await read()).to.equal(first)
    await one.redis.set(identityKey(prefix), `${first} 0123456789abcdef`)
    const second = await read()
    expect(second).not.to.equal(first)
    await one.redis.del(identityKey(prefix))
    await one.redis.hset(identityKey(prefix), 'a', 'b')
    expect(await read())
      .to.match(/^[\da-f-]{36}$/)
      .and.not.equal(second)
  })

  it('allows an invalidator to start and prune the event log while Redis is down', async () => {
    const away = 'redis://127.0.0.1:1'
    await using invalidator = start(newPrefix(), away)
    await until(async () => {
      const { rowCount } = await log.client.query('select from invalidation.checkpoint')
      return (rowCount ?? 0) > 0
    })
    expect(await owned(invalidator)).to.equal(0)
  })
})
