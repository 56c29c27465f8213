import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { findFreePort } from '../../scripts/servers/port.ts'
import { openRedis } from '../../shared/cache/index.ts'
import { createGathering, type RedisState } from '../../shared/cache/redis/redis.ts'
import { startPrivateRedis } from '../support/private-redis.ts'

/** Opens a client that records its states. */
function open(url: string) {
  const states: RedisState[] = []
  let changed: (() => void) | undefined
  const redis = openRedis(url, {
    name: 'test',
    onState(state) {
      states.push(state)
      changed?.()
    },
  })
  return {
    redis,
    states,
    async untilState(state: RedisState) {
      while (states.at(-1) !== state) await new Promise<void>((resolve) => (changed = resolve))
    },
    [Symbol.dispose]: () => redis.disconnect(),
  }
}

const timed = async (command: () => Promise<unknown>) => {
  const startedAt = performance.now()
  const error = await command().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return { error, tookMs: performance.now() - startedAt }
}

describe('Redis client', () => {
  it('connects when the server starts and reconnects after an outage, reporting each change once', async () => {
    const port = await findFreePort()
    using client = open(`redis://127.0.0.1:${port}`)
    await client.untilState('down')
    // Further failed attempts are not reported.
    await sleep(400)
    expect((await timed(() => client.redis.ping())).tookMs).to.be.below(20)

    await using server = await startPrivateRedis(port)
    await client.untilState('up')
    expect(await client.redis.ping()).to.equal('PONG')
    await server.stop()
    await client.untilState('down')
    const { error, tookMs } = await timed(() => client.redis.ping())
    expect(error).to.be.an('error')
    expect(tookMs).to.be.below(20)
    await server.start()
    await client.untilState('up')
    expect(client.states).to.deep.equal(['down', 'up', 'down', 'up'])
  })

  it('waits 50 ms for a reply, drops an unresponsive connection and reconnects', async () => {
    await using server = await startPrivateRedis()
    using client = open(server.url)
    await client.untilState('up')
    await server.freeze()
    const { error, tookMs } = await timed(() => client.redis.ping())
    expect(error).to.be.an('error')
    expect(tookMs).to.be.within(45, 200)
    await client.untilState('down')
    await server.thaw()
    await client.untilState('up')
    expect(await client.redis.ping()).to.equal('PONG')
  })

  it('never sends a command twice', async () => {
    await using server = await startPrivateRedis()
    using client = open(server.url)
    await client.untilState('up')
    await server.freeze()
    const lost = timed(() => client.redis.incr('counter'))
    await server.stop()
    expect((await lost).error).to.be.an('error')
    await server.start()
    await client.untilState('up')
    expect(await client.redis.get('counter')).to.be.null
  })

  it('sends the commands of one event loop turn in one write and resolves each separately', async () => {
    await using server = await startPrivateRedis()
    using client = open(server.url)
    await client.untilState('up')
    const { redis } = client
    let writes = 0
    const gather = createGathering(redis, () => writes++)
    const send = <T>(command: () => Promise<T>) => {
      gather()
      return command()
    }
    const sent = [
      send(() => redis.set('word', 'a')),
      send(() => redis.incr('word')),
      send(() => redis.get('word')),
    ]
    expect(redis.stream.writableLength).to.be.above(0)
    const ends = Promise.allSettled(sent)
    await new Promise(setImmediate)
    expect(redis.stream.writableLength).to.equal(0)
    expect(writes).to.equal(1)
    const [set, incr, get] = await ends
    expect(set).to.deep.equal({ status: 'fulfilled', value: 'OK' })
    expect(incr?.status).to.equal('rejected')
    expect(get).to.deep.equal({ status: 'fulfilled', value: 'a' })
  })

  it('rejects gathered commands of a lost connection and gathers for the next one', async () => {
    await using server = await startPrivateRedis()
    using client = open(server.url)
    await client.untilState('up')
    const { redis } = client
    const gather = createGathering(redis, () => {})
    gather()
    const lost = timed(() => redis.incr('counter'))
    redis.stream.destroy()
    const { error, tookMs } = await lost
    expect(error).to.be.an('error')
    expect(tookMs).to.be.below(45)
    await client.untilState('down')
    await client.untilState('up')
    gather()
    expect(await redis.get('counter')).to.be.null
  })
})
