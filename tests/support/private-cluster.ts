import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findFreePort } from '../../scripts/servers/port.ts'
import type { Certificate } from './certificate.ts'
import { type RedisProcess, startRedisProcess } from './redis-process.ts'
import { until } from './until.ts'

/** A Redis Cluster of three masters and three replicas on 127.0.0.1. */
export interface PrivateCluster extends AsyncDisposable {
  /** URL with the addresses of the first three nodes. */
  readonly url: string
  readonly nodes: readonly ClusterNode[]
  /** Adds an empty master. */
  add(): Promise<ClusterNode>
  /** Moves the slots of a master to another one, and removes it from the cluster. */
  remove(node: ClusterNode, slots: readonly number[], heir: ClusterNode): Promise<void>
  /** Returns the slot of the keys of a bucket. */
  slotOf(bucket: number): Promise<number>
  /** Returns the node that serves a slot now, as most running nodes see it. */
  masterOf(slot: number): Promise<ClusterNode>
  /** Waits until all nodes run and agree on the masters, and each replica follows its master. */
  settled(): Promise<void>
  /** Returns the replicas of a master. */
  replicasOf(master: ClusterNode): Promise<readonly ClusterNode[]>
  /** Begins to move a slot, and returns how to continue. */
  beginMove(slot: number, to: ClusterNode): Promise<SlotMove>
  /** Moves a slot with its keys to another master. */
  move(slot: number, to: ClusterNode): Promise<void>
  /** Kills the master of a slot and waits until its replica serves. Returns the old master. */
  failOver(slot: number): Promise<ClusterNode>
}

/** A slot that migrates. */
export interface SlotMove {
  /** Moves up to this many keys. Returns how many were moved. */
  moveKeys(count: number): Promise<number>
  /** Moves the remaining keys and gives the slot to its new master. */
  finish(): Promise<void>
}

export interface ClusterNode {
  readonly port: number
  readonly pid: number
  readonly client: Redis
  id(): Promise<string>
  kill(): Promise<void>
  start(): Promise<void>
  /** Suspends it: connections stay open without answers. */
  freeze(): void
  thaw(): void
}

const MASTERS = 3
const SLOTS = 16_384
/** On a busy machine a short time-out causes failovers of running servers. */
const NODE_TIMEOUT_MS = 3_000

type Range = [from: number, to: number, master: [host: string, port: number]]

const ANSWER_MS = 1_000

/** Returns the answer of a node; nothing if it is suspended or was killed meanwhile. */
const answerOf = (answer: Promise<unknown>): Promise<unknown> =>
  Promise.race([answer.catch(() => []), sleep(ANSWER_MS, [], { ref: false })])

export interface PrivateClusterOptions {
  /** One for each master; true by default. */
  readonly replicas?: boolean
  readonly password?: string
  /** With it, the nodes speak TLS only. */
  readonly certificate?: Certificate
}

/** Starts the servers and creates the cluster. */
export async function startPrivateCluster(
  nodeTimeoutMs = NODE_TIMEOUT_MS,
  { replicas = true, password, certificate }: PrivateClusterOptions = {},
): Promise<PrivateCluster> {
  const nodes: (ClusterNode & { readonly process: RedisProcess })[] = []

  async function startNode() {
    const port = await findFreePort()
    const process = await startRedisProcess(port, [
      'cluster-enabled yes',
      `cluster-port ${await findFreePort()}`,
      'cluster-config-file nodes.conf',
      `cluster-node-timeout ${nodeTimeoutMs}`,
      'cluster-require-full-coverage no',
      'cluster-replica-validity-factor 0',
      'maxmemory 256mb',
      'maxmemory-policy volatile-lru',
      ...(certificate === undefined
        ? []
        : [
            `tls-port ${port}`,
            `tls-cert-file ${certificate.authority}`,
            `tls-key-file ${certificate.keyFile}`,
            `tls-ca-cert-file ${certificate.authority}`,
            'tls-auth-clients no',
            'tls-cluster yes',
            'tls-replication yes',
          ]),
      ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
    ])
    const client = new Redis(port, {
      retryStrategy: () => 50,
      maxRetriesPerRequest: null,
      ...(password !== undefined && { password }),
      ...(certificate !== undefined && { tls: { ca: certificate.text, servername: 'localhost' } }),
    })
    client.on('error', () => {})
    let known: Promise<string> | undefined
    const node = {
      port,
      get pid() {
        return process.pid
      },
      process,
      client,
      id: () => (known ??= client.call('CLUSTER', 'MYID') as Promise<string>),
      kill: () => process.kill(),
      start: () => process.start(),
      freeze: () => process.signal('SIGSTOP'),
      thaw: () => process.signal('SIGCONT'),
    }
    nodes.push(node)
    return node
  }

  async function meet(node: { readonly client: Redis }): Promise<void> {
    for (const other of nodes) {
      const busPort = /cluster-port\n(\d+)/.exec(
        ((await other.client.call('CONFIG', 'GET', 'cluster-port')) as string[]).join('\n'),
      )?.[1]
      await node.client.call('CLUSTER', 'MEET', '127.0.0.1', `${other.port}`, `${busPort}`)
    }
  }

  const running = () => nodes.filter(({ client }) => client.status === 'ready')
  const areConnected = async () => {
    const infos = await Promise.all(
      running().map(async ({ client }) => String(await answerOf(client.cluster('INFO')))),
    )
    return infos.every(
      (info) =>
        info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`),
    )
  }

  for (let i = 0; i < (replicas ? 2 : 1) * MASTERS; i++) await startNode()
  await meet(nodes[0] as ClusterNode)
  for (let i = 0; i < MASTERS; i++) {
    const range = [Math.ceil((i * SLOTS) / MASTERS), Math.ceil(((i + 1) * SLOTS) / MASTERS) - 1]
    await nodes[i]?.client.call('CLUSTER', 'ADDSLOTSRANGE', ...range.map(String))
  }
  // A replica must know its master first.
  for (let i = 0; i < nodes.length - MASTERS; i++) {
    const masterId = (await nodes[i]?.id()) as string
    await until(
      () =>
        nodes[MASTERS + i]?.client
          .call('CLUSTER', 'REPLICATE', masterId)
          .then(() => true)
          .catch(() => false) as Promise<boolean>,
    )
  }
  await until(areConnected)
  await until(async () => {
    const links = await Promise.all(
      nodes.slice(MASTERS).map(({ client }) => client.info('replication')),
    )
    return links.every((text) => text.includes('master_link_status:up'))
  })

  async function masterOf(slot: number): Promise<ClusterNode> {
    const votes = await Promise.all(
      running().map(async ({ client }) => {
        const ranges = (await answerOf(client.call('CLUSTER', 'SLOTS'))) as Range[]
        return ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][1]
      }),
    )
    const votesFor = (port: number) => votes.filter((vote) => vote === port).length
    const [best] = votes
      .filter((port) => port !== undefined)
      .toSorted((one, other) => votesFor(other) - votesFor(one))
    const found = nodes.find(({ port }) => port === best)
    if (found === undefined) throw new Error(`no node serves slot ${slot}`)
    return found
  }

  async function settled(): Promise<void> {
    await until(async () => {
      if (running().length < nodes.length) return false
      const answers = await Promise.all(
        nodes.map(async ({ client }) => ({
          masters: JSON.stringify(
            ((await answerOf(client.call('CLUSTER', 'SLOTS'))) as Range[]).map(
              ([from, to, [, port]]) => [from, to, port],
            ),
          ),
          role: String(await answerOf(client.info('replication'))),
        })),
      )
      return (
        new Set(answers.map(({ masters }) => masters)).size === 1 &&
        answers.every(({ role }) => /role:master|master_link_status:up/.test(role)) &&
        (await areConnected())
      )
    })
  }

  async function beginMove(slot: number, to: ClusterNode): Promise<SlotMove> {
    const from = await masterOf(slot)
    const [fromId, toId] = [await from.id(), await to.id()]
    await to.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', fromId)
    await from.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', toId)
    const moveKeys = async (count: number): Promise<number> => {
      const keys = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[]
      if (keys.length === 0) return 0
      const auth = password === undefined ? [] : ['AUTH', password]
      const target = ['127.0.0.1', `${to.port}`, '', '0', '5000', 'REPLACE']
      const args = [...target, ...auth, 'KEYS', ...keys]
      await from.client.call('MIGRATE', ...args)
      return keys.length
    }
    return {
      moveKeys,
      async finish() {
        for (let moved = -1; moved !== 0;) moved = await moveKeys(100)
        await to.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId)
        // A master without slots becomes a replica, and replicas learn it from their masters.
        await from.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId).catch(() => {})
        for (const { client } of running()) {
          await client.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId).catch(() => {})
        }
      },
    }
  }

  const move = async (slot: number, to: ClusterNode) => (await beginMove(slot, to)).finish()

  return {
    url: `${certificate ? 'rediss' : 'redis'}-cluster://${password === undefined ? '' : `:${password}@`}${nodes
      .slice(0, MASTERS)
      .map(({ port }) => `${certificate ? 'localhost' : '127.0.0.1'}:${port}`)
      .join()}`,
    nodes,
    slotOf: (bucket) => (nodes[0] as ClusterNode).client.cluster('KEYSLOT', `{${bucket}}`),
    masterOf,
    settled,
    async replicasOf(master) {
      const id = await master.id()
      const lines = ((await master.client.call('CLUSTER', 'REPLICAS', id)) as string[]).map(
        (line) => Number(/:(\d+)@/.exec(line)?.[1]),
      )
      return nodes.filter(({ port }) => lines.includes(port))
    },
    async add() {
      const node = await startNode()
      await meet(node)
      await until(areConnected)
      return node
    },
    async remove(node, slots, heir) {
      for (const slot of slots) await move(slot, heir)
      const id = await node.id()
      for (const { client, port } of running()) {
        // prose-ok: a command of Redis
        if (port !== node.port) await client.call('CLUSTER', 'FORGET', id).catch(() => {})
      }
      const removed = nodes.splice(
        nodes.findIndex(({ port }) => port === node.port),
        1,
      )
      await stopNodes(removed)
    },
    beginMove,
    move,
    async failOver(slot) {
      const before = await masterOf(slot)
      await before.kill()
      await until(async () => (await masterOf(slot).catch(() => before)) !== before)
      return before
    },
    [Symbol.asyncDispose]: () => stopNodes(nodes),
  }
}

/** A client that is not disconnected reconnects for ever, and keeps its process alive. */
async function stopNodes(
  nodes: readonly { readonly client: Redis; readonly process: RedisProcess }[],
): Promise<void> {
  for (const { client, process } of nodes) {
    client.disconnect()
    await process[Symbol.asyncDispose]()
  }
}
