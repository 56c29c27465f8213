import type { Redis } from '../../shared/redis.ts'
import { isDenial } from '../../shared/redis-replies.ts'
import { watermarkKey } from '../../shared/cache/key.ts'
import { type Finding, note, wrong } from './finding.ts'

type Call = readonly [command: string, ...args: string[]]

/** Of whom each is the user in the address: so these are asked as that user, and change nothing. */
const NEEDED = (key: string): readonly Call[] => [
  ['EVAL', 'return 1', '0'],
  ['EVALSHA', '0'.repeat(40), '0'],
  ['TIME'],
  ['GET', key],
  // Without a value, or with a word that there is not, the command is permitted and then fails.
  ['SET', key, '', 'NOTHING'],
  ['HGET', key, ''],
  ['HGETALL', key],
  ['HKEYS', key],
  ['HLEN', key],
  ['HEXISTS', key, ''],
  ['HSTRLEN', key, ''],
  ['HSET', key, 'f', 'v', 'odd'],
  ['HDEL', key, ''],
  ['PTTL', key],
  ['PEXPIRE', key, 'never'],
  ['UNLINK', key],
  ['SCAN', '0', 'COUNT', '1'],
]

/** What only commands and metrics ask for. */
const WANTED = (key: string): readonly Call[] => [['INFO', 'memory'], ['TYPE', key], ['RANDOMKEY']]

/** Whether the user of the address may run what the services run, on the keys of the prefix. */
export async function checkPermissions(redis: Redis, prefix: string): Promise<Finding[]> {
  const user = await redis.call('ACL', 'WHOAMI').then(String, () => '<user>')
  // A key that is none of ours, so that nothing is lost by it.
  const key = `${watermarkKey(prefix)}:doctor`
  const grant = (command: string) =>
    `ACL SETUSER ${user} +${command.toLowerCase()} ~${prefix}/*, and the same in the file of users`
  const findings: Finding[] = []
  for (const [command, ...args] of NEEDED(key)) {
    if (!(await isDenied(redis, [command, ...args]))) continue
    findings.push(
      wrong(
        `the user ${user} of Redis is not permitted ${command}`,
        'what needs it is not cached, or not invalidated',
        grant(command),
      ),
    )
  }
  for (const [command, ...args] of WANTED(key)) {
    if (!(await isDenied(redis, [command, ...args]))) continue
    findings.push(
      note(
        `the user ${user} of Redis is not permitted ${command}`,
        'doctor, verify and metrics cannot tell what it says; the cache works without it',
        grant(command),
      ),
    )
  }
  return findings
}

const isDenied = (redis: Redis, [command, ...args]: Call): Promise<boolean> =>
  redis.call(command, ...args).then(() => false, isDenial)
