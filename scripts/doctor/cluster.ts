import type { Buckets, Redis } from '../../shared/cache/index.ts'
import { bucketsMissing, type Finding, note } from '../../invalidator/index.ts'

/** Checks that all buckets of a Redis Cluster have a server, and the settings that concern only a cluster. */
export async function checkCluster(buckets: Buckets): Promise<Finding[]> {
  if (buckets.count === 1) return []
  const settings = await Promise.all(buckets.servers.map(readSettings))
  return [...availability(buckets), ...coverage(settings), ...reads(settings)]
}

function availability({ count, available }: Buckets): Finding[] {
  if (available === count) return []
  return [bucketsMissing(count - available, count)]
}

type Settings = ReadonlyMap<string, string>

/** Hosted servers often deny CONFIG: then nothing is known. */
async function readSettings(redis: Redis): Promise<Settings> {
  const reply = await redis.call('CONFIG', 'GET', 'cluster-*').catch(() => [])
  const words = reply as string[]
  return new Map(
    words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? ''] as const] : [])),
  )
}

const isOn = (settings: readonly Settings[], name: string): boolean =>
  settings.some((one) => one.get(name) === 'yes')

function coverage(settings: readonly Settings[]): Finding[] {
  if (!isOn(settings, 'cluster-require-full-coverage')) return []
  return [
    note(
      'cluster-require-full-coverage is on',
      'while one master has no replica to replace it, the whole cluster rejects commands, and nothing is cached',
      'config set cluster-require-full-coverage no, and the same in redis.conf',
    ),
  ]
}

function reads(settings: readonly Settings[]): Finding[] {
  if (!isOn(settings, 'cluster-allow-reads-when-down')) return []
  return [
    note(
      'cluster-allow-reads-when-down is on',
      'a master that was separated from the others answers with entries that are no longer invalidated, until MAX_STALENESS_MS has passed',
      'config set cluster-allow-reads-when-down no, and the same in redis.conf',
    ),
  ]
}
