import { setTimeout as sleep } from 'node:timers/promises'
import type { Proxy } from '../../support/chaos-proxy.ts'
import type { ClusterNode, PrivateCluster } from '../../support/private-cluster.ts'
import { until } from '../../support/until.ts'
import type { ClusterStage } from '../stage/cluster.ts'
import type { Stage } from '../stage/stage.ts'
import type { Fault, Scene } from './fault.ts'
import { NOBODY } from './postgres.ts'
import { goBack } from './redis.ts'

const BUCKETS = 64
const HOLD_MS = 3_000
const FROZEN_MS = 8_000
const FROZEN_LONG_MS = 30_000

const clusterOf = ({ redisCluster }: Stage): ClusterStage => {
  if (redisCluster === null) throw new Error('this fault needs a cluster')
  return redisCluster
}

const randomSlot = ({ stage, random }: Scene): Promise<number> =>
  clusterOf(stage).cluster.slotOf(random.between(0, BUCKETS - 1))

async function otherMaster(cluster: PrivateCluster, master: ClusterNode): Promise<ClusterNode> {
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const found = await cluster.masterOf(await cluster.slotOf(bucket))
    if (found.port !== master.port) return found
  }
  throw new Error('one master has all slots')
}

/** Slots of buckets that a master has. */
async function slotsOf(cluster: PrivateCluster, master: ClusterNode): Promise<readonly number[]> {
  const found: number[] = []
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const slot = await cluster.slotOf(bucket)
    if ((await cluster.masterOf(slot)).port === master.port) found.push(slot)
  }
  return found
}

/** Faults of a Redis Cluster and of the network to it. */
export const CLUSTER_FAULTS: readonly Fault[] = [
  {
    name: 'cluster-master-killed',
    takes: 'redis',
    holdMs: 0,
    // Its replica is promoted, and has missed the newest invalidations.
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const slot = await randomSlot(scene)
      const master = await cluster.masterOf(slot)
      const [replica] = await cluster.replicasOf(master)
      replica?.freeze()
      // Bytes that were sent to the suspended replica would still reach it.
      await master.client.client('KILL', 'TYPE', 'REPLICA')
      await sleep(1_000)
      const span = goBack(scene)
      await master.kill()
      replica?.thaw()
      await until(async () => (await cluster.masterOf(slot).catch(() => master)) !== master)
      return async () => {
        await master.start()
        await cluster.settled()
        await span.isOver()
      }
    },
  },
  {
    name: 'cluster-slot-migrates',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const slot = await randomSlot(scene)
      const over = new AbortController()
      const moving = (async () => {
        while (!over.signal.aborted) {
          const move = await cluster.beginMove(
            slot,
            await otherMaster(cluster, await cluster.masterOf(slot)),
          )
          for (let step = 0; step < 4; step++) {
            await move.moveKeys(1)
            await sleep(50)
          }
          await move.finish()
        }
      })()
      return async () => {
        over.abort()
        await moving
        await cluster.settled()
      }
    },
  },
  {
    name: 'cluster-resharded',
    takes: 'redis',
    holdMs: 0,
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const master = await cluster.masterOf(await randomSlot(scene))
      const heir = await otherMaster(cluster, master)
      const slots = await slotsOf(cluster, master)
      for (const slot of slots) await cluster.move(slot, heir)
      return async () => {
        for (const slot of slots) await cluster.move(slot, master)
        await cluster.settled()
      }
    },
  },
  cut('cluster-master-cut-from-invalidators', ({ invalidatorPaths }) => invalidatorPaths),
  cut('cluster-master-cut-from-apis', ({ apiPaths }) => apiPaths),
  {
    name: 'cluster-master-flushed',
    takes: 'redis',
    holdMs: 0,
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const span = goBack(scene)
      const master = await cluster.masterOf(await randomSlot(scene))
      await master.client.flushall()
      return span.isOver
    },
  },
  {
    name: 'cluster-master-frozen',
    takes: 'redis',
    holdMs: 0,
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const master = await cluster.masterOf(await randomSlot(scene))
      const span = goBack(scene)
      master.freeze()
      await sleep(scene.isLong ? FROZEN_LONG_MS : FROZEN_MS)
      return async () => {
        master.thaw()
        await cluster.settled()
        await span.isOver()
      }
    },
  },
  {
    name: 'cluster-node-added-and-removed',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const master = await cluster.masterOf(await randomSlot(scene))
      const slots = await slotsOf(cluster, master)
      const node = await cluster.add()
      for (const slot of slots) await cluster.move(slot, node)
      return async () => {
        await cluster.remove(node, slots, master)
        await cluster.settled()
      }
    },
  },
  {
    name: 'cluster-addresses-unreachable',
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject(scene) {
      const { cluster } = clusterOf(scene.stage)
      const master = await cluster.masterOf(await randomSlot(scene))
      await master.client.config('SET', 'cluster-announce-port', '9')
      return async () => {
        await master.client.config('SET', 'cluster-announce-port', '0')
        await cluster.settled()
      }
    },
  },
]

function cut(name: string, pathsOf: (stage: ClusterStage) => ReadonlyMap<number, Proxy>): Fault {
  return {
    name,
    takes: 'redis',
    holdMs: HOLD_MS,
    async inject(scene) {
      const stage = clusterOf(scene.stage)
      const { port } = await stage.cluster.masterOf(await randomSlot(scene))
      const path = pathsOf(stage).get(port)
      path?.lead(NOBODY)
      return async () => path?.lead(`redis://127.0.0.1:${port}`)
    },
  }
}
