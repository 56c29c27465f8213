import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'
import { includes, type Moment } from '../../db/event-log/index.ts'
import { bareUuid, type ConsistencyToken } from '../../shared/cache/index.ts'
import type { Client } from './client.ts'
import type { ConsistencyTokens } from './consistency-token.ts'
import type { Middleware } from './common-middleware.ts'
import { isSafe } from './safe-method.ts'

export interface ConsistencyOptions {
  readonly consistencyTokens: ConsistencyTokens
  /** Lifetime of the cookies, in ms. */
  readonly lifetimeMs: number
  readonly client: Client
  /** Reads the current snapshot and incarnation from Postgres. */
  readonly findMoment: () => Promise<Moment>
}

const HEADER = 'Consistency-Token'
/**
 * Each token has its own cookie: with one cookie, concurrent responses would overwrite each other's
 * token.
 */
const COOKIE = 'spms_token_'
/** A request with more tokens, none of which supersedes another, bypasses the cache. */
const MAX_CONSISTENCY_TOKENS = 8
/** Maximum number of signatures checked in one request: of valid tokens, and of forged ones. */
const MAX_VALID = 64
const MAX_FORGED = 100
/** Cookies that one answer deletes: limits the size of its headers. */
const MAX_CLEARED = 64
const NEVER_SATISFIED: ConsistencyToken = { incarnation: null, snapshot: { xmax: 0n, xip: [] } }

/** Matches texts that are long enough to be a token. */
const LONG_WORD = /[^\s,]{30,}/g

const requestTokens = new AsyncLocalStorage<readonly ConsistencyToken[]>()
/** Number of requests in progress that have tokens. */
let requestsWithTokens = 0
const NONE: readonly ConsistencyToken[] = []

/** Returns the consistency tokens of the current request. */
export const currentConsistencyTokens = (): readonly ConsistencyToken[] =>
  requestTokens.getStore() ?? NONE

/** Responses to a POST that only reads. */
const readsByPost = new WeakSet<ServerResponse>()

/** Marks a POST that only reads: it gets no token, which would bypass the cache in later reads. */
export const markAsRead = (res: ServerResponse): void => void readsByPost.add(res)

/**
 * Creates middleware for read-your-writes consistency. A successful response to an unsafe method gets a
 * token, taken after the write, in a header and a cookie. `currentConsistencyTokens` returns the tokens
 * of a request to every read that the request causes.
 */
export function createConsistency(options: ConsistencyOptions): Middleware {
  const { consistencyTokens } = options

  return (req, res, next) => {
    const isRead = isSafe(req)
    if (isRead && !hasConsistencyToken(req)) return next()
    const cookies = cookiesOf(req)
    const found = readConsistencyTokens([...headerOf(req), ...cookies.values()])
    if (!isRead) {
      beforeSuccess(res, async () => {
        if (!readsByPost.has(res)) await sendConsistencyToken(req, res, cookies, found)
      })
    }
    const wanted = withoutSuperseded(found.values())
    if (wanted.length === 0) return next()
    requestsWithTokens++
    // Before Node 24 an async context slows down every promise in the process, so it is disabled
    // when no request needs it.
    res.once('close', () => {
      if (--requestsWithTokens === 0) requestTokens.disable()
    })
    return requestTokens.run(wanted, next)
  }

  /**
   * Decodes tokens; null for an invalid one. Duplicates, malformed and expired tokens and unknown keys
   * cost no signature check. Any plausible text after `MAX_VALID` valid tokens bypasses the cache. Texts
   * after `MAX_FORGED` forged tokens are ignored, so that forged tokens cannot force a bypass.
   */
  function readConsistencyTokens(
    texts: readonly string[],
  ): ReadonlyMap<string, ConsistencyToken | null> {
    const found = new Map<string, ConsistencyToken | null>()
    let valid = 0
    let forged = 0
    for (const text of new Set(texts)) {
      if (forged === MAX_FORGED) break
      if (!consistencyTokens.isPlausible(text)) found.set(text, null)
      else if (valid === MAX_VALID) return found.set('', NEVER_SATISFIED)
      else {
        const consistencyToken = consistencyTokens.read(text)
        found.set(text, consistencyToken)
        if (consistencyToken === null) forged++
        else valid++
      }
    }
    return found
  }

  async function sendConsistencyToken(
    req: IncomingMessage,
    res: ServerResponse,
    cookies: ReadonlyMap<string, string>,
    found: ReadonlyMap<string, ConsistencyToken | null>,
  ): Promise<void> {
    // The write is committed, so it must succeed even if the moment is unknown: the token then
    // bypasses the cache.
    const moment = await options.findMoment().catch(() => null)
    const text = consistencyTokens.issue(moment)
    res.setHeader(HEADER, text)
    const common = { path: '/', sameSite: 'lax', secure: options.client.isSecure(req) } as const
    const set = (name: string, value: string, maxAge: number) =>
      res.appendHeader(
        'Set-Cookie',
        stringifySetCookie({ ...common, name, value, maxAge, httpOnly: true }),
      )
    set(COOKIE + text.slice(-8), text, Math.ceil(options.lifetimeMs / 1000))
    const issued = toConsistencyToken(moment)
    const spent = [...cookies].filter(([, old]) => {
      const consistencyToken = found.get(old)
      return (
        consistencyToken === null ||
        (consistencyToken !== undefined && supersedes(issued, consistencyToken))
      )
    })
    for (const [name] of spent.slice(0, MAX_CLEARED)) set(name, '', 0)
  }
}

const toConsistencyToken = (moment: Moment | null): ConsistencyToken =>
  moment?.incarnation == null
    ? NEVER_SATISFIED
    : { incarnation: bareUuid(moment.incarnation), snapshot: moment.snapshot }

/** Whether a token includes everything of another, so that the other is redundant. */
const supersedes = (one: ConsistencyToken, other: ConsistencyToken): boolean =>
  one.incarnation !== null &&
  one.incarnation === other.incarnation &&
  includes(one.snapshot, other.snapshot)

/**
 * Returns the tokens that no other supersedes; if they are too many, one token that bypasses the
 * cache.
 */
function withoutSuperseded(found: Iterable<ConsistencyToken | null>): readonly ConsistencyToken[] {
  let kept: ConsistencyToken[] = []
  for (const consistencyToken of found) {
    if (consistencyToken === null || kept.some((other) => supersedes(other, consistencyToken)))
      continue
    kept = [...kept.filter((other) => !supersedes(consistencyToken, other)), consistencyToken]
    if (kept.length > MAX_CONSISTENCY_TOKENS) return [NEVER_SATISFIED]
  }
  return kept
}

/** Whether a request may have tokens. Most reads have none, so the check is cheap. */
const hasConsistencyToken = ({ headers }: IncomingMessage): boolean =>
  headers['consistency-token'] !== undefined || headers.cookie?.includes(COOKIE) === true

/** Returns the texts in the header that may be tokens, without allocating strings for the others. */
const headerOf = (req: IncomingMessage): readonly string[] =>
  String(req.headers['consistency-token'] ?? '').match(LONG_WORD) ?? []

function cookiesOf(req: IncomingMessage): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [name, value = ''] of Object.entries(parseCookie(req.headers.cookie ?? ''))) {
    if (name.startsWith(COOKIE)) found.set(name, value)
  }
  return found
}

/**
 * Runs `work` before a successful response is sent. It wraps the methods of the response, so that it
 * works for every way in which a handler can respond.
 */
function beforeSuccess(res: ServerResponse, work: () => Promise<void>): void {
  const { end, writeHead } = res
  // `writeHead` only records; `end` sends the headers, so `work` can still add some.
  res.writeHead = ((status: number, ...rest: (string | OutgoingHttpHeaders | undefined)[]) => {
    res.statusCode = status
    for (const given of rest) {
      if (typeof given === 'string') res.statusMessage = given
      else for (const [name, value = ''] of Object.entries(given ?? {})) res.setHeader(name, value)
    }
    return res
  }) as typeof writeHead
  res.end = ((...args: Parameters<typeof end>) => {
    Object.assign(res, { end, writeHead })
    const finish = () => end.apply(res, args)
    if (res.statusCode >= 400 || res.headersSent) finish()
    else work().then(finish, finish)
    return res
  }) as typeof end
}
