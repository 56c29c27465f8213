import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import vary from 'vary'
import type { Answer } from '../../shared/cache/answer.ts'
import { PROBLEM_TYPE, problemBody } from './problem.ts'

/** Who may be shown a response: anyone, or the user who asked. */
export type Audience = 'anyone' | 'user'

/**
 * Sends what the cache answered: 200, 304, or 404 with `absent` as its detail. `HEAD` is the same
 * without a body.
 */
export type SendAnswer = (
  req: IncomingMessage,
  res: ServerResponse,
  answer: Answer,
  audience: Audience,
  absent?: string,
) => void

export interface SendAnswerOptions {
  /** How long an edge cache may keep what is public: by so much it may be stale. */
  readonly edgeMaxAgeS: number
}

export function createSendAnswer({ edgeMaxAgeS }: SendAnswerOptions): SendAnswer {
  // An edge counts `s-maxage` from the age that an answer arrives with.
  const kept = (audience: Audience, ageS: number): string =>
    audience === 'user'
      ? 'private, no-cache'
      : `public, max-age=0, s-maxage=${edgeMaxAgeS && ageS + edgeMaxAgeS}, must-revalidate`
  const notKept = { anyone: 'no-store', user: 'private, no-store' }

  return (req, res, answer, audience, absent = 'Not found.') => {
    const { body, etag, outcome } = answer
    const ageS = Math.max(0, Math.floor(answer.ageMs / 1000))
    const headers: OutgoingHttpHeaders = {
      'Cache-Status': cacheStatus(answer),
      'Cache-Control': outcome === 'bypass' ? notKept[audience] : kept(audience, ageS),
      Age: ageS,
    }
    // Added to what may be there: an answer to a listed origin differs by origin too.
    if (audience === 'anyone') vary(res, 'Cookie, Authorization, Consistency-Token')

    if (body === null) {
      const problem = problemBody(req, { status: 404, detail: absent })
      headers['Content-Type'] = PROBLEM_TYPE
      headers['Content-Length'] = Buffer.byteLength(problem)
      res.writeHead(404, headers).end(problem)
      return
    }
    headers['ETag'] = etag
    if (matches(req.headers['if-none-match'], etag)) {
      res.writeHead(304, headers).end()
      return
    }
    headers['Content-Type'] = 'application/json; charset=utf-8'
    headers['Content-Length'] = body.length
    res.writeHead(200, headers).end(body)
  }
}

/**
 * RFC 9211, without `stored`: a response does not wait for its fill, so nobody knows yet. A stale answer was forwarded too: its load failed, and the old one stood in.
 */
export function cacheStatus({
  outcome,
  detail,
  ttlMs,
  collapsed,
}: Pick<Answer, 'outcome' | 'detail' | 'ttlMs' | 'collapsed'>): string {
  let status = outcome === 'hit' ? 'spms; hit' : `spms; fwd=${outcome}`
  if (collapsed) status += '; collapsed'
  if (outcome !== 'bypass') status += `; ttl=${Math.floor(ttlMs / 1000)}`
  return detail === undefined ? status : `${status}; detail=${detail}`
}

/** Whether the client holds this very version. `If-None-Match` compares weakly. */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  if (header === etag || header === '*') return true
  return header.match(/"[^"]*"/g)?.includes(etag) ?? false
}
