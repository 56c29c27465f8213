import { isDenial, type Redis, watermarkKey } from '../../shared/cache/index.ts'
import { type Finding, note, wrong } from '../../invalidator/index.ts'

type Call = readonly [command: string, ...args: string[]]

/** Commands that the services run, with arguments that change nothing. They run as the user of REDIS_URL. */
const NEEDED = (key: string): readonly Call[] => [
  ['EVAL', 'return 1', '0'],
  ['EVALSHA', '0'.repeat(40), '0'],
  ['TIME'],
  ['GET', key],
  // Invalid arguments make the command fail after its permission check.
  ['SET', key, '', 'NOTHING'],
  ['HGET', key, ''],
  ['HGETALL', key],
  ['HKEYS', key],
  ['HLEN', key],
  ['HSTRLEN', key, ''],
  ['HSET', key, 'f', 'v', 'odd'],
  ['HDEL', key, ''],
  ['PTTL', key],
  ['PEXPIRE', key, 'never'],
  ['UNLINK', key],
  ['SCAN', '0', 'COUNT', '1'],
]

/** Commands without which the services still run. Without INFO, a copied Redis is not detected. */
const WANTED = (key: string): readonly Call[] => [['INFO', 'memory'], ['TYPE', key], ['RANDOMKEY']]

/** Commands that a cluster needs in addition. */
const NEEDED_IN_CLUSTER: readonly Call[] = [['CLUSTER', 'SLOTS']]
/** Without these a flush scans all keys of a server for each of its buckets. */
const WANTED_IN_CLUSTER: readonly Call[] = [
  ['CLUSTER', 'COUNTKEYSINSLOT', '0'],
  ['CLUSTER', 'GETKEYSINSLOT', '0', '1'],
]

export interface PermissionOptions {
  readonly prefix: string
  /** First part of keys that the server has. */
  readonly keysUnder: string
  readonly isCluster: boolean
}

/** Checks that the user of REDIS_URL may run the commands of the services on keys of the prefix. */
export async function checkPermissions(
  redis: Redis,
  { prefix, keysUnder, isCluster }: PermissionOptions,
): Promise<Finding[]> {
  const user = await redis.call('ACL', 'WHOAMI').then(String, () => '<user>')
  // A key that no service uses, so that the commands cannot destroy data.
  const key = `${watermarkKey(keysUnder)}:doctor`
  const grant = (command: string) =>
    `ACL SETUSER ${user} +${command.toLowerCase()} ~${prefix}/*, and the same in the ACL file`
  const findings: Finding[] = []
  for (const [command, ...args] of [...NEEDED(key), ...(isCluster ? NEEDED_IN_CLUSTER : [])]) {
    if (!(await isDenied(redis, [command, ...args]))) continue
    findings.push(
      wrong(
        `the user ${user} of Redis is not permitted ${command}`,
        'entries that need this command are not cached, or not invalidated',
        grant(command),
      ),
    )
  }
  for (const [command, ...args] of [...WANTED(key), ...(isCluster ? WANTED_IN_CLUSTER : [])]) {
    if (!(await isDenied(redis, [command, ...args]))) continue
    findings.push(
      note(
        `the user ${user} of Redis is not permitted ${command}`,
        'doctor, verify and metrics lack its information, and INFO reveals a copied Redis; the cache works without it',
        grant(command),
      ),
    )
  }
  return findings
}

const isDenied = (redis: Redis, [command, ...args]: Call): Promise<boolean> =>
  redis.call(command, ...args).then(() => false, isDenial)
