import { Cluster, Redis } from 'ioredis'
import { isPast, type Mark, readMark } from './oracle/snapshot.ts'
import type { Stage } from './stage/stage.ts'

/** The stored watermarks. */
export interface Watermarks extends AsyncDisposable {
  /**
   * Reads the watermarks of all resources; in a cluster those of the bucket that is furthest behind.
   * @throws if Redis does not answer.
   */
  read(): Promise<ReadonlyMap<string, Mark | null>>
  /** Calls a listener when a connection is lost. */
  onLost(listener: () => void): void
  readonly everyMs: number
}

const OPTIONS = {
  commandTimeout: 1_000,
  // Without this, a half-open connection would block forever.
  socketTimeout: 2_000,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  retryStrategy: () => 50,
} as const

/** Opens the watermarks of the Redis that the APIs use. */
export function openWatermarks({ paths, redisCluster, keys }: Stage): Watermarks {
  return redisCluster === null
    ? ofServer(paths.apisToRedis.url, keys.watermark)
    : ofCluster(
        redisCluster.cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
        keys.prefix,
      )
}

const decode = (stored: Readonly<Record<string, string>>) =>
  new Map(Object.entries(stored).map(([name, text]) => [name, readMark(text)]))

function ofServer(url: string, key: string): Watermarks {
  const redis = new Redis(url, OPTIONS)
  redis.on('error', () => {})
  return {
    everyMs: 10,
    read: async () => decode(await redis.hgetall(key)),
    onLost: (listener) => redis.on('close', listener),
    async [Symbol.asyncDispose]() {
      redis.disconnect()
    },
  }
}

const BUCKETS = 64

function ofCluster(nodes: { host: string; port: number }[], prefix: string): Watermarks {
  const cluster = new Cluster(nodes, {
    redisOptions: { commandTimeout: 1_000, socketTimeout: 2_000 },
    enableOfflineQueue: false,
    slotsRefreshInterval: 500,
    clusterRetryStrategy: () => 50,
    retryDelayOnFailover: 50,
    maxRedirections: 2,
  })
  cluster.on('error', () => {})
  const hashes = Array.from(
    { length: BUCKETS },
    (_, bucket) => `${prefix}/${BUCKETS}/{${bucket}}/watermark`,
  )
  return {
    everyMs: 100,
    async read() {
      const found = (await Promise.all(hashes.map((key) => cluster.hgetall(key)))).map(decode)
      const names = new Set(found.flatMap((marks) => [...marks.keys()]))
      return new Map(
        [...names].map((name) => [name, lowest(found.map((marks) => marks.get(name) ?? null))]),
      )
    },
    onLost: (listener) => cluster.on('-node', listener),
    async [Symbol.asyncDispose]() {
      cluster.disconnect()
    },
  }
}

/** Returns the mark that all others include; `null` if one is missing or of another incarnation. */
function lowest(marks: readonly (Mark | null)[]): Mark | null {
  return marks.reduce((least, one) => {
    if (least === null || one === null || least.incarnation !== one.incarnation) return null
    const isUsable = least.keyVersion > 0 ? one.keyVersion : least.keyVersion
    const lower = isPast(one.seen, least.seen) ? least : one
    return { ...lower, keyVersion: isUsable }
  })
}
