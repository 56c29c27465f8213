import { createProxy, type Proxy } from '../../support/chaos-proxy.ts'
import { type PrivateCluster, startPrivateCluster } from '../../support/private-cluster.ts'

/** A Redis Cluster, and the proxies to each of its first nodes. Later nodes are reached directly. */
export interface ClusterStage extends AsyncDisposable {
  readonly cluster: PrivateCluster
  /** URLs with which the services reach the nodes through their proxies. */
  readonly apiUrl: string
  readonly invalidatorUrl: string
  /** The proxies of the APIs and of the invalidators, by the port of the node. */
  readonly apiPaths: ReadonlyMap<number, Proxy>
  readonly invalidatorPaths: ReadonlyMap<number, Proxy>
}

/** Masters that do not answer for this long are replaced. */
const NODE_TIMEOUT_MS = 2_000

export async function openClusterStage(): Promise<ClusterStage> {
  const cluster = await startPrivateCluster(NODE_TIMEOUT_MS)
  const proxies: Proxy[] = []

  async function openPaths(): Promise<ReadonlyMap<number, Proxy>> {
    const paths = new Map<number, Proxy>()
    for (const { port } of cluster.nodes) {
      const proxy = await createProxy(`redis://127.0.0.1:${port}`)
      await proxy.listen()
      paths.set(port, proxy)
      proxies.push(proxy)
    }
    return paths
  }
  const urlThrough = (paths: ReadonlyMap<number, Proxy>): string => {
    const portOf = (proxy: Proxy) => new URL(proxy.url).port
    const seeds = [...paths.values()].map((proxy) => `127.0.0.1:${portOf(proxy)}`)
    const map = [...paths].map(([port, proxy]) => `127.0.0.1:${port}=127.0.0.1:${portOf(proxy)}`)
    return `redis-cluster://${seeds.join()}?map=${map.join()}`
  }

  const apiPaths = await openPaths()
  const invalidatorPaths = await openPaths()
  return {
    cluster,
    apiUrl: urlThrough(apiPaths),
    invalidatorUrl: urlThrough(invalidatorPaths),
    apiPaths,
    invalidatorPaths,
    async [Symbol.asyncDispose]() {
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]()
      await cluster[Symbol.asyncDispose]()
    },
  }
}
