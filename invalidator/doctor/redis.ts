import type { Redis } from '../../shared/cache/index.ts'
import { type Finding, note, wrong } from './finding.ts'

/** Checks the eviction policy, the memory limit, the role and the persistence of Redis. */
export async function checkRedis(redis: Redis): Promise<Finding[]> {
  // Unlike CONFIG, INFO is allowed on hosted servers too.
  const texts = await Promise.all(
    ['memory', 'persistence', 'replication'].map((section) => redis.info(section)),
  )
  const info = new Map(
    texts
      .join('\n')
      .split(/\r?\n/)
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  return infoFindings(info)
}

type Info = ReadonlyMap<string, string>

/** Returns the findings that follow from INFO. Pure, because tests cannot fill a disk. */
export const infoFindings = (info: Info): Finding[] => [
  ...policy(info),
  ...limit(info),
  ...writes(info),
]

function policy(info: Info): Finding[] {
  const found = info.get('maxmemory_policy') ?? 'unknown'
  if (found === 'volatile-lru' || found === 'volatile-lfu') return []
  const remedy = 'config set maxmemory-policy volatile-lfu, and the same in redis.conf'
  if (found === 'noeviction') {
    return [wrong('maxmemory-policy is noeviction', 'a full Redis rejects every fill', remedy)]
  }
  if (found.startsWith('allkeys-')) {
    const why = 'Redis may evict the watermark, and each eviction flushes everything'
    return [wrong(`maxmemory-policy is ${found}`, why, remedy)]
  }
  return [
    note(`maxmemory-policy is ${found}`, 'Redis may evict the entries that are read most', remedy),
  ]
}

function limit(info: Info): Finding[] {
  if (info.get('maxmemory') !== '0') return []
  return [
    note(
      'maxmemory is not set',
      'Redis uses all memory until the operating system kills it',
      'config set maxmemory, below the memory that the host can spare',
    ),
  ]
}

function writes(info: Info): Finding[] {
  const findings: Finding[] = []
  if (info.get('role') !== 'master') {
    findings.push(
      wrong(
        'this Redis is a replica',
        'nothing can be stored or invalidated',
        'set REDIS_URL to the address of the master',
      ),
    )
  }
  for (const status of ['rdb_last_bgsave_status', 'aof_last_write_status']) {
    if ((info.get(status) ?? 'ok') === 'ok') continue
    findings.push(
      wrong(
        `${status} is ${info.get(status)}`,
        'Redis rejects writes while it cannot save',
        'free space on its disk, or turn persistence off: the cache does not need it',
      ),
    )
  }
  return findings
}
