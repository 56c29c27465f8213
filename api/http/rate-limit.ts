import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Client } from './client.ts'
import { sendProblem, throttled } from './problem.ts'
import type { SecurityLog } from './security-log.ts'
import { createTokenBuckets, type TokenBucketOptions } from './token-buckets.ts'

/**
 * Creates the rate limit. The returned function rejects a request with 429 and returns true if the
 * client exceeds the limit. A `perS` or `burst` of 0 disables the limit.
 */
export function createRateLimit(
  client: Client,
  options: TokenBucketOptions,
  securityLog: SecurityLog,
): (req: IncomingMessage, res: ServerResponse) => boolean {
  if (options.perS === 0 || options.burst === 0) return () => false
  const buckets = createTokenBuckets(options)

  return (req, res) => {
    const waitMs = buckets.take(client.network(req))
    if (waitMs === 0) return false
    const error = throttled(waitMs)
    securityLog.logRejection(req, error)
    sendProblem(res, error)
    return true
  }
}
