import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { Moment } from '../../db/queries/incarnation.ts'
import { includes } from '../../db/event-log/snapshot.ts'
import { bareUuid } from '../../shared/cache/cached-value.ts'
import type { ConsistencyToken } from '../../shared/cache/consistency-token.ts'
import type { Client } from './client.ts'
import type { ConsistencyTokens } from './consistency-token.ts'
import type { Middleware } from './common-middleware.ts'
import { isSafe } from './safe-method.ts'

export interface ConsistencyOptions {
  readonly consistencyTokens: ConsistencyTokens
  /** How long browsers bring a token back. */
  readonly lifetimeMs: number
  readonly client: Client
  /** What is committed now, and in which life of the database. */
  readonly findMoment: () => Promise<Moment>
}

const HEADER = 'Consistency-Token'
/** Each token has a cookie of its own, or answers to two tabs at once would overwrite each other's. */
const COOKIE = 'spms_token_'
/** A request that brings more tokens, none of which includes another, is answered as if nothing covered it. */
const MAX_CONSISTENCY_TOKENS = 8
/** Bounds on the signatures that are checked for one request: those that verify, and those that do not. */
const MAX_VALID = 64
const MAX_FORGED = 100
const NEVER_SATISFIED: ConsistencyToken = { incarnation: null, snapshot: { xmax: 0n, xip: [] } }

/** Every token is longer. */
const LONG_WORD = /[^\s,]{30,}/g

const requestTokens = new AsyncLocalStorage<readonly ConsistencyToken[]>()
/** How many requests that bring some are being answered. */
let requestsWithTokens = 0
const NONE: readonly ConsistencyToken[] = []

/** What the request on whose behalf this code runs wants to see again; for the reader. */
export const currentConsistencyTokens = (): readonly ConsistencyToken[] =>
  requestTokens.getStore() ?? NONE

/**
 * Read your writes. Whatever a request has written, and however it is answered: a success leaves
 * with a token that was taken afterwards, in a header and in a cookie. What a request brings back of
 * these is known to every read that it causes.
 */
export function createConsistency(options: ConsistencyOptions): Middleware {
  const { consistencyTokens } = options

  return (req, res, next) => {
    const isAsked = isSafe(req)
    if (isAsked && !hasConsistencyToken(req)) return next()
    const cookies = cookiesOf(req)
    const found = readConsistencyTokens([...headerOf(req), ...cookies.values()])
    if (!isAsked) beforeSuccess(res, () => sendConsistencyToken(req, res, cookies, found))
    const wanted = withoutSuperseded(found.values())
    if (wanted.length === 0) return next()
    requestsWithTokens++
    // Before Node 24 a context makes every promise dearer, also for those who bring nothing.
    res.once('close', () => {
      if (--requestsWithTokens === 0) requestTokens.disable()
    })
    return requestTokens.run(wanted, next)
  }

  /**
   * The token that each text stands for; `null` for an invalid one. Texts behind the bounds are
   * left out. Repeated, malformed and expired texts and unknown keys need no signature. A client
   * returns only tokens that it was given, so texts behind too many forged ones are ignored: they
   * must not make the client bypass the cache.
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
    // The write is done, so it is answered as such: but then nothing may be shown from the cache.
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
    for (const [name] of spent.slice(0, MAX_VALID)) set(name, '', 0)
  }
}

const toConsistencyToken = (moment: Moment | null): ConsistencyToken =>
  moment?.incarnation == null
    ? NEVER_SATISFIED
    : { incarnation: bareUuid(moment.incarnation), snapshot: moment.snapshot }

/** Whether a token stands for all that another does, so that the other need not be brought again. */
const supersedes = (one: ConsistencyToken, other: ConsistencyToken): boolean =>
  one.incarnation !== null &&
  one.incarnation === other.incarnation &&
  includes(one.snapshot, other.snapshot)

/** The tokens that no other includes. A cache that covers these covers all; too many are covered by nothing. */
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

/** Nearly every read brings none, and should not pay for those that do. */
const hasConsistencyToken = ({ headers }: IncomingMessage): boolean =>
  headers['consistency-token'] !== undefined || headers.cookie?.includes(COOKIE) === true

/** What may be a token in the header; the rest of it makes no strings. */
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
 * Does something between a handler's success and its departure. It hangs on the response itself,
 * so that no handler can answer in a way that leaves it out.
 */
function beforeSuccess(res: ServerResponse, work: () => Promise<void>): void {
  const { end, writeHead } = res
  // The head is kept open: what is written of it cannot be added to.
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
    const leave = () => end.apply(res, args)
    if (res.statusCode >= 400 || res.headersSent) leave()
    else work().then(leave, leave)
    return res
  }) as typeof end
}
