import { once } from 'node:events'
import { expect } from 'chai'
import type { Snapshot } from '../../db/event-log/index.ts'
import {
  type Buckets,
  entryKey,
  openBuckets,
  type Redis,
  type Watermark,
} from '../../shared/cache/index.ts'
import { createBucketedStore } from '../../shared/cache/entry-store/bucketed-store.ts'
import { createInvalidationStores } from '../../shared/cache/invalidation-store/bucket-stores.ts'
import { createInvalidationStore } from '../../shared/cache/invalidation-store/invalidation-store.ts'
import { bird } from '../invalidator/birds.ts'
import { newPrefix } from '../support/invalidator.ts'
import { type PrivateCluster, startPrivateCluster } from '../support/private-cluster.ts'
import { rewriteScripts } from '../support/rewritten.ts'
import { until } from '../support/until.ts'

describe('a stale entry of a cluster is trusted', function () {
  this.timeout(120_000)
  let cluster: PrivateCluster
  let buckets: Buckets
  const prefix = newPrefix()
  const key = entryKey(prefix, bird, { id: '1' })

  beforeEach(async () => {
    cluster = await startPrivateCluster()
    buckets = openBuckets(cluster.url, prefix, {
      name: 'checks',
      commandTimeoutMs: 5_000,
      onState() {},
    })
    await until(() => buckets.available === buckets.count)
  })
  afterEach(async () => {
    buckets[Symbol.dispose]()
    await cluster[Symbol.asyncDispose]()
  })

  const bucketOfBird = () => buckets.bucketOf(key)
  const keyInBucket = () => buckets.keyIn(bucketOfBird(), key)
  const connection = () => buckets.connectionOf(bucketOfBird()) as Redis
  const exists = async () => (await connection().exists(keyInBucket())) === 1

  function mark(xid: number): Watermark {
    const snapshot: Snapshot = {
      xmin: BigInt(xid),
      xmax: BigInt(xid),
      xip: [],
      text: `${xid}:${xid}:`,
    }
    const database = { incarnation: 'incarnation', origin: '1.2.3' }
    return { ...database, snapshot, asOfMs: 1, part: 0, keyVersion: 1, fingerprint: 'rules' }
  }

  /** Stores an entry as of the first snapshot, and the watermark of that snapshot. */
  async function begin(): Promise<string> {
    await connection().hset(keyInBucket(), 'full', 'old')
    const report = await createInvalidationStores(buckets)
      .at(bucketOfBird())
      .apply([{ resource: bird, expected: null, next: mark(1), keys: new Set(), flush: false }])
    return report.stored.get('bird') as string
  }

  /** Promotes a replica that missed the second snapshot, in which the entry was deleted. */
  async function loseInvalidation(expected: string): Promise<string> {
    const slot = await cluster.slotOf(bucketOfBird())
    const master = await cluster.masterOf(slot)
    const [replica] = await cluster.replicasOf(master)
    await master.client.call('WAIT', '1', '0')
    replica?.freeze()
    // Bytes that were sent to the suspended replica would still reach it.
    await master.client.client('KILL', 'TYPE', 'REPLICA')
    const report = await createInvalidationStores(buckets)
      .at(bucketOfBird())
      .apply([
        { resource: bird, expected, next: mark(2), keys: new Set([keyInBucket()]), flush: false },
      ])
    expect(report.removed.get('bird')).to.equal(1)
    await meanwhile()
    const before = connection()
    await master.kill()
    replica?.thaw()
    await until(() => connection() !== before && connection().status === 'ready')
    await until(async () => /role:master/.test(await connection().info('replication')))
    expect(await exists()).to.equal(true)
    return report.stored.get('bird') as string
  }
  let meanwhile = async () => {}
  beforeEach(() => {
    meanwhile = async () => {}
  })

  it('without the comparison of watermarks after a replica was promoted, and only then', async () => {
    const expected = await loseInvalidation(await begin())
    const advance = {
      resource: bird,
      expected,
      next: mark(3),
      keys: new Set<string>(),
      flush: false,
    }
    const checked = await createInvalidationStores(buckets).at(bucketOfBird()).apply([advance])
    expect([...checked.stored.keys()]).to.eql([])

    const client = connection().duplicate()
    await once(client, 'ready')
    const unchecked = createInvalidationStore(
      rewriteScripts(client, {
        part: `return (stored[field] or '') == text`,
        by: 'return true',
      }),
      buckets.prefixOf(bucketOfBird()),
    )
    expect([...(await unchecked.apply([advance])).stored.keys()]).to.eql(['bird'])
    expect(await exists()).to.equal(true)
    client.disconnect()
  })

  it('with watermarks that were polled from the server that is gone, and only with those', async () => {
    const options = { commandTimeoutMs: 5_000 }
    const discarding = createBucketedStore(buckets, options)
    const keeping = createBucketedStore(withLastingConnections(buckets), options)
    const polled = (store: typeof keeping) => store.watermark('bird', key)?.snapshot.text
    let gone: Redis | undefined
    meanwhile = async () => {
      await until(() => [discarding, keeping].every((store) => polled(store) === '2:2:'))
      gone = connection()
    }
    const seen = {
      discarding: new Set<string | undefined>(),
      keeping: new Set<string | undefined>(),
    }
    const removeListener = buckets.onChange(() => {
      if (gone === undefined || connection() === gone) return
      seen.discarding.add(polled(discarding))
      seen.keeping.add(polled(keeping))
    })
    await loseInvalidation(await begin())
    await until(() => [discarding, keeping].every((store) => polled(store) === '1:1:'))
    removeListener()
    keeping[Symbol.dispose]()
    discarding[Symbol.dispose]()
    expect(seen.discarding).not.to.include('2:2:')
    expect(seen.keeping).to.include('2:2:')
  })

  it('without the key that never exists, if a flush meets a slot that migrates, and only then', async () => {
    const expected = await begin()
    const slot = await cluster.slotOf(bucketOfBird())
    const from = await cluster.masterOf(slot)
    const to = cluster.nodes.find(({ port }) => port !== from.port) as typeof from
    const move = await cluster.beginMove(slot, to)
    // Only the entry moves.
    await from.client.call('MIGRATE', '127.0.0.1', to.port, keyInBucket(), 0, 5_000)
    const flush = { resource: bird, expected, next: mark(2), keys: new Set<string>(), flush: true }

    const checked = createInvalidationStores(buckets).at(bucketOfBird()).apply([flush])
    expect(await checked.catch(String)).to.match(/TRYAGAIN|ASK/)

    const unchecked = createInvalidationStore(connection(), buckets.prefixOf(bucketOfBird()))
    expect((await unchecked.apply([flush])).stored.has('bird')).to.equal(true)
    await move.finish()
    await until(() => connection().options.port === to.port)
    expect(await exists()).to.equal(true)
  })
})

/**
 * Returns buckets whose connections never change: each forwards to the present one. So a store keeps what
 * it polled from a server that is gone.
 */
function withLastingConnections(buckets: Buckets): Buckets {
  const lasting = new Map<number, Redis>()
  return {
    ...buckets,
    connectionOf(bucket) {
      const known = lasting.get(bucket) ?? forward(() => buckets.connectionOf(bucket) as Redis)
      lasting.set(bucket, known)
      return known
    },
  }
}

function forward(current: () => Redis): Redis {
  const definitions = new Map<string, Parameters<Redis['defineCommand']>[1]>()
  const own: Record<string, unknown> = {
    on() {},
    off() {},
    defineCommand: (name: string, definition: Parameters<Redis['defineCommand']>[1]) =>
      definitions.set(name, definition),
  }
  return new Proxy({} as Redis, {
    get(_, name) {
      if (typeof name === 'string' && name in own) return own[name]
      const redis = current()
      for (const [command, definition] of definitions) {
        if (!(command in redis)) redis.defineCommand(command, definition)
      }
      const value: unknown = Reflect.get(redis, name)
      return typeof value === 'function' ? value.bind(redis) : value
    },
  })
}
