import {
  type Buckets,
  createBucketedStore,
  createEntryStore,
  type EntryStore,
  oneBucket,
  openBuckets,
  openRedis,
  parseRedisUrl,
  type Redis,
} from '../../shared/cache/index.ts'
import { createRoutedClient } from './routed-client.ts'
import { until } from './until.ts'

/** Whether the tests run on a Redis Cluster. */
const IS_CLUSTER = process.env.TEST_REDIS === 'cluster'

/** The Redis of a key prefix, of any kind. */
export interface TestRedis {
  /** Takes keys without bucket. Disconnecting it closes the buckets. */
  readonly redis: Redis
  readonly buckets: Buckets
}

/** Connects to a Redis in the background. */
export function openTestRedis(
  url: string,
  prefix: string,
  {
    name = 'spms-test',
    commandTimeoutMs = 5_000,
  }: { name?: string; commandTimeoutMs?: number } = {},
): TestRedis {
  const options = { name, commandTimeoutMs, onState: () => {} }
  if (parseRedisUrl(url).kind === 'cluster') {
    const buckets = openBuckets(url, prefix, options)
    return { redis: createRoutedClient(buckets), buckets }
  }
  const redis = openRedis(url, options)
  return { redis, buckets: oneBucket(redis, prefix) }
}

/** Opens an entry store as a reader does. Buckets poll for themselves, without `polledState`. */
export function openTestStore(
  { redis, buckets }: TestRedis,
  options: Parameters<typeof createEntryStore>[1],
): EntryStore & Disposable {
  if (buckets.count === 1) return createEntryStore(redis, options)
  const { prefix: _, polledState, onMoved, ...common } = options
  if (polledState ?? onMoved) throw new Error('a store with buckets has no such option')
  return createBucketedStore(buckets, common)
}

/** Waits until the servers of all keys are connected. */
export const untilReady = (redis: Redis): Promise<void> => until(() => redis.status === 'ready')

/** Returns a key of any prefix without its bucket. */
export const withoutAnyBucket = (key: string): string =>
  key.replace(/^([^/]+)\/\d+\/\{\d+\}\//, '$1/')

/** Declares tests that a Redis Cluster cannot run. There they are listed as pending, with the reason. */
export const notInCluster = (reason: string) => ({
  describe: (title: string, suite: (this: Mocha.Suite) => void) =>
    IS_CLUSTER
      ? describe.skip(`${title} (not in a cluster: ${reason})`, suite)
      : describe(title, suite),
  it: (title: string, test: Mocha.AsyncFunc) =>
    IS_CLUSTER ? it.skip(`${title} (not in a cluster: ${reason})`, test) : it(title, test),
})
