import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '../../shared/cache/index.ts'
import { recordOutcome } from './outcome.ts'
import { PROBLEM_TYPE, problemBody } from './problem.ts'
import { pushVary, type SendTagged } from './send-tagged.ts'

/** The readers to whom caches may show a response: anyone, or only the user who sent the request. */
export type Audience = 'anyone' | 'user'

/**
 * Sends an answer of the cache with 200, 304, or 404 with `absent` as its detail. A response to `HEAD`
 * is the same without a body.
 */
export type SendAnswer = (
  req: IncomingMessage,
  res: ServerResponse,
  answer: Answer,
  audience: Audience,
  absent?: string,
) => Promise<void> | void

export interface SendAnswerOptions {
  readonly sendTagged: SendTagged
  /** How long an edge cache may keep a public response, in s; it may then be this much older. */
  readonly edgeMaxAgeS: number
}

/** `Vary` by audience. A response that only its user may store does not depend on credentials. */
const VARY = {
  anyone: 'Cookie, Authorization, Consistency-Token, Accept-Encoding',
  user: 'Accept-Encoding',
}

export function createSendAnswer({ sendTagged, edgeMaxAgeS }: SendAnswerOptions): SendAnswer {
  // An edge cache compares `s-maxage` with `Age`, so the age of the answer is added.
  const cacheable = (audience: Audience, ageS: number): string =>
    audience === 'user'
      ? 'private, no-cache'
      : `public, max-age=0, s-maxage=${edgeMaxAgeS && ageS + edgeMaxAgeS}, must-revalidate`
  const notCacheable = { anyone: 'no-store', user: 'private, no-store' }

  return (req, res, answer, audience, absent = 'Not found.') => {
    const { body, encoding, etag, outcome } = answer
    const ageS = Math.max(0, Math.floor(answer.ageMs / 1000))
    const headers = [
      'Cache-Status',
      cacheStatus(res, answer),
      'Cache-Control',
      outcome === 'bypass' ? notCacheable[audience] : cacheable(audience, ageS),
      'Age',
      String(ageS),
    ]
    pushVary(res, headers, VARY[audience])

    if (body === null) {
      const problem = problemBody(req, { status: 404, detail: absent })
      headers.push('Content-Type', PROBLEM_TYPE)
      headers.push('Content-Length', String(Buffer.byteLength(problem)))
      res.writeHead(404, headers).end(problem)
      return
    }
    const isCompressible = answer.ttlMs === 0
    return sendTagged(req, res, { body, encoding, etag, isCompressible }, headers)
  }
}

/**
 * Returns a `Cache-Status` header (RFC 9211), and records the outcome of the response for the metrics. It has no `stored`, because a response does not wait until its
 * value is stored. A stale answer has `fwd` too: the load was attempted and failed.
 */
export function cacheStatus(
  res: ServerResponse,
  { outcome, detail, ttlMs, collapsed }: Pick<Answer, 'outcome' | 'detail' | 'ttlMs' | 'collapsed'>,
): string {
  recordOutcome(res, outcome)
  let status = outcome === 'hit' ? 'spms; hit' : `spms; fwd=${outcome}`
  if (collapsed) status += '; collapsed'
  if (outcome !== 'bypass') status += `; ttl=${Math.floor(ttlMs / 1000)}`
  return detail === undefined ? status : `${status}; detail=${detail}`
}
