import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Buckets, Redis } from './cache/index.ts'

/** A token bucket and its limits. */
export interface Bucket {
  readonly name: string
  /** Tokens added per second. */
  readonly perS: number
  /** Largest and initial number of tokens. */
  readonly burst: number
}

/** Returns the key of a token bucket for log-in attempts, named by the HMAC of what it limits. */
export const attemptKey = (prefix: string, hmac: string) => `${prefix}/attempts/${hmac}`

/** Token buckets shared by all API processes. */
export interface SharedBuckets {
  /**
   * Takes one token from each bucket, or none from any. Returns 0 on success, else the milliseconds until
   * the first empty bucket has a token; `null` if Redis does not answer in time.
   */
  take(buckets: readonly Bucket[]): Promise<number | null>
  /** Returns tokens that were taken for an operation that did not happen. */
  giveBack(buckets: readonly Bucket[]): void
}

export interface SharedBucketsOptions {
  /** Prefix of every key. */
  readonly prefix: string
  /** Names of buckets, such as names of users, are stored under an HMAC with this key. */
  readonly secret: string
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 200

/**
 * KEYS: buckets. ARGV: `take` or `give`, then rate and burst of each bucket. A full bucket expires, and a
 * value that another program wrote counts as a full bucket. Time is that of Redis.
 */
const BUCKETS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local levels = {}
for i, key in ipairs(KEYS) do
  local per_s, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local text = redis.pcall('GET', key)
  local tokens, at = string.match(type(text) == 'string' and text or '', '^(%d+%.%d+) (%d+)$')
  tokens, at = tonumber(tokens) or burst, tonumber(at) or now
  levels[i] = math.min(burst, tokens + math.max(0, now - at) / 1000 * per_s)
  if ARGV[1] == 'take' and levels[i] < 1 then
    return math.ceil((1 - levels[i]) / per_s * 1000)
  end
end
for i, key in ipairs(KEYS) do
  local per_s, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local left = ARGV[1] == 'take' and levels[i] - 1 or math.min(burst, levels[i] + 1)
  local full_in = math.ceil((burst - left) / per_s * 1000)
  if full_in <= 0 then
    redis.call('UNLINK', key)
  else
    redis.call('SET', key, string.format('%.4f %.0f', left, now), 'PX', full_in)
  end
end
return 0
`

interface Scripted {
  takeTokens(count: number, ...keysAndArguments: (string | number)[]): Promise<number>
}

/** Returns a connection with the script. */
function scriptedOf(redis: Redis): Scripted {
  if (!('takeTokens' in redis)) redis.defineCommand('takeTokens', { lua: BUCKETS })
  return redis as unknown as Scripted
}

/** Creates token buckets in Redis. In a cluster all are on one server, since one script takes several. */
export function createSharedBuckets(
  redisBuckets: Buckets,
  { prefix, secret, timeoutMs = TIMEOUT_MS }: SharedBucketsOptions,
): SharedBuckets {
  const at = redisBuckets.bucketOf(attemptKey(prefix, ''))
  const keyOf = ({ name }: Bucket) => {
    const hmac = createHmac('sha256', secret).update(`attempts\n${name}`).digest('base64url')
    return redisBuckets.keyIn(at, attemptKey(prefix, hmac))
  }

  async function run(what: 'take' | 'give', buckets: readonly Bucket[]): Promise<number> {
    const redis = redisBuckets.connectionOf(at)
    if (redis === null) throw new Error('the server of the token buckets is not known')
    return scriptedOf(redis).takeTokens(
      buckets.length,
      ...buckets.map(keyOf),
      what,
      ...buckets.flatMap(({ perS, burst }) => [perS, burst]),
    )
  }

  return {
    async take(buckets) {
      const timer = new AbortController()
      const timedOut = sleep(timeoutMs, null, { signal: timer.signal }).catch(() => null)
      try {
        return await Promise.race([run('take', buckets), timedOut])
      } catch {
        return null
      } finally {
        timer.abort()
      }
    },

    giveBack(buckets) {
      run('give', buckets).catch(() => {})
    },
  }
}
