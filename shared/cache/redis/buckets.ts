import { parseRedisUrl } from './address.ts'
import { bucketCountKey, bucketOf, bucketPrefix, slotOf, slotOfText } from './bucket.ts'
import { openCluster } from './cluster.ts'
import { openConnection, type OpenRedisOptions, type Redis } from './redis.ts'

/**
 * The buckets of a key prefix: one in a single server, several in a Redis Cluster. A key without
 * bucket (`app/v1/bird:7`) names an entry everywhere but in commands.
 */
export interface Buckets extends Disposable {
  readonly count: number
  /** Returns the bucket of a key. */
  bucketOf(key: string): number
  /** Returns the key in its bucket. */
  keyIn(bucket: number, key: string): string
  /** Returns the bucket of a key in its bucket, and the key without it; `null` for any other key. */
  placeOf(keyInBucket: string): { readonly bucket: number; readonly key: string } | null
  /** Returns where an entry is; `null` while its server is not connected. */
  place(key: string): Place | null
  /** Returns where the keys of the whole system are; `null` while their server is not connected. */
  home(): Place | null
  /** Returns the first part of the keys of a bucket. */
  prefixOf(bucket: number): string
  /**
   * Returns the connection to the server of a bucket; `null` while it is not known. It may be down. When
   * the bucket moves, another connection is returned.
   */
  connectionOf(bucket: number): Redis | null
  /** Connections to all servers with buckets. */
  readonly servers: readonly Redis[]
  /**
   * Returns ids of the servers that no other Redis has: the `run_id` of a single one, the ids of the nodes
   * of a cluster. Empty if they are not known.
   */
  serverIds(): Promise<readonly string[]>
  /** Number of buckets whose server is connected. */
  readonly available: number
  /** Calls a listener when the connection of a bucket is another one, opens or closes. Returns its removal. */
  onChange(listener: () => void): () => void
  /** Requests the servers of the buckets again, as after a reply that a slot has moved. */
  refresh(): void
}

/** A key in its bucket, the connection to its server, and the first part of the keys there. */
export interface Place {
  readonly redis: Redis
  readonly prefix: string
  readonly key: string
}

/**
 * Connects to Redis in the background: to one server, to the master that sentinels name, or to a cluster.
 * @throws ConfigurationError for an address that `parseRedisUrl` rejects.
 */
export function openBuckets(url: string, prefix: string, options: OpenRedisOptions): Buckets {
  const address = parseRedisUrl(url)
  if (address.kind !== 'cluster') return oneBucket(openConnection(address, options), prefix)
  const { buckets: count } = address
  const slots = Array.from({ length: count }, (_, bucket) => slotOf(bucket))
  const prefixes = slots.map((_, bucket) => bucketPrefix(prefix, bucket, count))
  const listeners = new Set<() => void>()
  let lastError: Error | undefined
  let isRefused = false
  let isAgreed = false
  let lastAvailable: number | undefined

  const cluster = openCluster(address, {
    name: options.name,
    ...(options.commandTimeoutMs !== undefined && { commandTimeoutMs: options.commandTimeoutMs }),
    slots: [...slots, slotOfText(bucketCountKey(prefix))],
    onChange: () => setImmediate(announce),
    onError(error, kind) {
      lastError = error
      if (kind === 'not a cluster') refuse(error)
    },
  })
  const connectionOf = (bucket: number): Redis | null =>
    isRefused ? null : cluster.connectionOf(slots[bucket] as number)
  const countAvailable = () =>
    slots.filter((_, bucket) => connectionOf(bucket)?.status === 'ready').length

  function announce(): void {
    if (isRefused) return
    if (!isAgreed) void agree()
    const available = countAvailable()
    // Until the first connections have opened or failed, missing buckets are no failure.
    const isKnown = available === count || lastAvailable !== undefined || lastError !== undefined
    if (available !== lastAvailable && isKnown) {
      if (available === count) options.onState('up')
      else options.onState('down', unavailable(available))
      lastAvailable = available
    }
    for (const listener of listeners) listener()
  }

  const unavailable = (available: number) =>
    new Error(
      `${count - available} of ${count} buckets are not available` +
        (lastError === undefined ? '' : `: ${lastError.message}`),
      { cause: lastError },
    )

  function refuse(error: Error): void {
    if (isRefused) return
    isRefused = true
    cluster[Symbol.dispose]()
    options.onState('unsupported', error)
    for (const listener of listeners) listener()
  }

  /** Stores the number of buckets, or compares it with the stored one. */
  async function agree(): Promise<void> {
    const key = bucketCountKey(prefix)
    const redis = cluster.connectionOf(slotOfText(key))
    if (redis?.status !== 'ready') return
    try {
      await redis.set(key, `${count}`, 'NX')
      const stored = await redis.get(key)
      if (stored === null) return
      isAgreed = true
      if (stored === `${count}`) return
      refuse(
        new Error(`prefix ${prefix} has ${stored} buckets: write buckets=${stored} in REDIS_URL`),
      )
    } catch {
      // A later change of a connection repeats this. Until then the keys of both are separate.
    }
  }

  const keyIn = (bucket: number, key: string) => `${prefixes[bucket]}${key.slice(prefix.length)}`
  function place(key: string, bucket = bucketOf(key, count)): Place | null {
    const redis = connectionOf(bucket)
    if (redis?.status !== 'ready') return null
    return { redis, prefix: prefixes[bucket] as string, key: keyIn(bucket, key) }
  }

  return {
    count,
    bucketOf: (key) => bucketOf(key, count),
    keyIn,
    placeOf(keyInBucket) {
      const [, number = ''] = /\{(\d+)\}/.exec(keyInBucket) ?? []
      const bucket = Number(number)
      const start = prefixes[bucket]
      if (number === '' || start === undefined || !keyInBucket.startsWith(`${start}/`)) return null
      return { bucket, key: `${prefix}${keyInBucket.slice(start.length)}` }
    },
    place,
    home: () => place(prefix, 0),
    prefixOf: (bucket) => prefixes[bucket] as string,
    async serverIds() {
      if (cluster.nodeIds.length === 0) throw new Error('the nodes of the cluster are not known')
      return cluster.nodeIds
    },
    connectionOf,
    get servers() {
      return isRefused ? [] : cluster.masters
    },
    get available() {
      return countAvailable()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh: () => cluster.refresh(),
    [Symbol.dispose]: () => cluster[Symbol.dispose](),
  }
}

/** The one bucket of a connection to a single server. Disposing closes the connection. */
export function oneBucket(redis: Redis, prefix: string): Buckets {
  const place = (key: string): Place | null =>
    redis.status === 'ready' ? { redis, prefix, key } : null
  return {
    count: 1,
    bucketOf: () => 0,
    keyIn: (_, key) => key,
    placeOf: (key) => ({ bucket: 0, key }),
    place,
    home: () => place(prefix),
    prefixOf: () => prefix,
    serverIds: () =>
      redis
        .info('server')
        .then(
          (info) => /^run_id:(\w+)/m.exec(info)?.[1] ?? [],
          () => [],
        )
        .then((id) => [id].flat()),
    connectionOf: () => redis,
    servers: [redis],
    get available() {
      return redis.status === 'ready' ? 1 : 0
    },
    onChange(listener) {
      redis.on('ready', listener)
      redis.on('close', listener)
      return () => {
        redis.off('ready', listener)
        redis.off('close', listener)
      }
    },
    refresh() {},
    [Symbol.dispose]: () => redis.disconnect(),
  }
}
