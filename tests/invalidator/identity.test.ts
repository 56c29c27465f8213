import { Writable } from 'node:stream'
import { expect } from 'chai'
import winston, { type Logger } from 'winston'
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

  const start = (prefix: string, redisUrl?: string, logger?: Logger) =>
    startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      heartbeatMs: 50,
      prefix,
      ...(redisUrl !== undefined && { redisUrl }),
      ...(logger !== undefined && { logger }),
    })

  /** Records the warnings of a logger, each with its error. */
  function recordWarnings() {
    const warnings: string[] = []
    const stream = new Writable({
      write(chunk, _encoding, done) {
        warnings.push(String(chunk).trim())
        done()
      },
    })
    const format = winston.format.printf(
      ({ message, error }) => `${String(message)}: ${String(error)}`,
    )
    const transports = new winston.transports.Stream({ stream, format })
    return { warnings, logger: winston.createLogger({ level: 'warn', transports }) }
  }

  async function owned({ metrics }: TestInvalidator): Promise<number> {
    const { values } = await metrics.owned.get()
    return values.reduce((sum, { value }) => sum + value, 0)
  }

  /** Whether each resource has one owner and each of the two invalidators owns a resource. */
  const isShared = async (one: TestInvalidator, other: TestInvalidator) => {
    const counts = [await owned(one), await owned(other)]
    return !counts.includes(0) && counts.reduce((a, b) => a + b) === BIRDS.length
  }

  /** Returns another name of a server, or the other nodes of a cluster or of its sentinels. */
  function otherAddressOf(text: string): string {
    if (text.includes(',')) return text.replace(/(\/\/(?:[^@/]*@)?)[^,]+,/, '$1')
    const url = new URL(text)
    url.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost'
    url.pathname = '/0'
    return url.href
  }

  it('is the same for every address of the server', async () => {
    const prefix = newPrefix()
    await using one = start(prefix)
    await using other = start(prefix, otherAddressOf(testRedisUrl()))
    await until(() => isShared(one, other))
  })

  it('is awaited without a warning while the connection to Redis opens', async () => {
    const { warnings, logger } = recordWarnings()
    await using invalidator = start(newPrefix(), undefined, logger)
    await until(() => invalidator.working)
    expect(warnings).to.eql([])
  })

  it('is read again by a running invalidator after it changed', async () => {
    const prefix = newPrefix()
    await using one = start(prefix)
    await until(() => one.working)
    const before = await createIdentityReader(one.buckets)()
    await one.redis.del(identityKey(prefix))
    await using other = start(prefix)
    await until(() => isShared(one, other))
    expect(await createIdentityReader(one.buckets)()).not.to.equal(before)
  })

  it('is replaced after its data moved to another server or became a value of another type', async () => {
    const prefix = newPrefix()
    await using one = start(prefix)
    await until(() => one.working)
    const read = createIdentityReader(one.buckets)
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
    const { warnings, logger } = recordWarnings()
    await using invalidator = start(newPrefix(), away, logger)
    await until(async () => {
      const { rowCount } = await log.client.query('select from invalidation.checkpoint')
      return (rowCount ?? 0) > 0
    })
    expect(await owned(invalidator)).to.equal(0)
    await until(() => warnings.length > 0)
    expect(warnings).to.eql([
      'not invalidating, will retry: Error: cannot read the identity of Redis',
    ])
  })
})
