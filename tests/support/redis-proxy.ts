import { parseRedisUrl } from '../../shared/cache/index.ts'
import { createProxy, type Proxy } from './chaos-proxy.ts'
import { testRedisServerUrl, testRedisUrl } from './invalidator.ts'

/** Proxies in front of all servers of the test run's Redis. They refuse connections until `listen()`. */
export type RedisProxy = Pick<Proxy, 'url' | 'listen'> & AsyncDisposable

/** Creates them on loopback. */
export async function createRedisProxy(): Promise<RedisProxy> {
  const address = parseRedisUrl(testRedisUrl())
  if (address.kind !== 'cluster') return createProxy(testRedisServerUrl())
  const proxies = await Promise.all(
    address.nodes.map(async ({ host, port }) => ({
      advertised: `${host}:${port}`,
      proxy: await createProxy(`redis://${host}:${port}`),
    })),
  )
  const addresses = proxies.map(({ proxy }) => new URL(proxy.url).host)
  const map = proxies.map(({ advertised }, index) => `${advertised}=${addresses[index]}`)
  return {
    url: `redis-cluster://${addresses.join()}?buckets=${address.buckets}&map=${map.join()}`,
    listen: async () => void (await Promise.all(proxies.map(({ proxy }) => proxy.listen()))),
    async [Symbol.asyncDispose]() {
      for (const { proxy } of proxies) await proxy[Symbol.asyncDispose]()
    },
  }
}
