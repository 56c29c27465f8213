import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { Moment } from '../../db/queries/incarnation.ts'
import { covers } from '../../db/event-log/snapshot.ts'
import { bareUuid } from '../../shared/cache/frame.ts'
import type { Token } from '../../shared/cache/token.ts'
import type { Client } from './client.ts'
import type { ConsistencyTokens } from './consistency-token.ts'
import type { Front } from './front.ts'
import { isSafe } from './safe-method.ts'

export interface ConsistencyOptions {
  readonly tokens: ConsistencyTokens
  /** How long browsers bring a token back. */
  readonly lifeMs: number
  readonly client: Client
  /** What is committed now, and in which life of the database. */
  readonly findMoment: () => Promise<Moment>
}

const HEADER = 'Consistency-Token'
/** Each token has a cookie of its own, or answers to two tabs at once would overwrite each other's. */
const COOKIE = 'spms_token_'
/** Who brings more than this is answered as if nothing covered them. */
const MAX_BROUGHT = 64
const NEVER_COVERED: Token = { incarnation: null, snapshot: { xmax: 0n, xip: [] } }

const brought = new AsyncLocalStorage<readonly Token[]>()
/** How many requests that bring some are being answered. */
let bringing = 0
const NONE: readonly Token[] = []

/** What the request on whose behalf this code runs wants to see again; for the reader. */
export const currentTokens = (): readonly Token[] => brought.getStore() ?? NONE

/**
 * Read your writes. Whatever a request has written, and however it is answered: a success leaves
 * with a token that was taken afterwards, in a header and in a cookie. What a request brings back of
 * these is known to every read that it causes.
 */
export function createConsistency(options: ConsistencyOptions): Front {
  const { tokens } = options

  return (req, res, next) => {
    const isAsked = isSafe(req)
    if (isAsked && !bringsAny(req)) return next()
    const cookies = cookiesOf(req)
    if (!isAsked) beforeSuccess(res, () => giveToken(req, res, cookies))
    const texts = [...headerOf(req), ...cookies.values()]
    const read = texts.slice(0, MAX_BROUGHT).map((text) => tokens.read(text))
    if (texts.length > MAX_BROUGHT) read.push(NEVER_COVERED)
    const found = read.filter((token) => token !== null)
    if (found.length === 0) return next()
    bringing++
    // Before Node 24 a context makes every promise dearer, also for those who bring nothing.
    res.once('close', () => {
      if (--bringing === 0) brought.disable()
    })
    return brought.run(found, next)
  }

  async function giveToken(
    req: IncomingMessage,
    res: ServerResponse,
    cookies: ReadonlyMap<string, string>,
  ): Promise<void> {
    // The write is done, so it is answered as such: but then nothing may be shown from the cache.
    const moment = await options.findMoment().catch(() => null)
    const text = tokens.issue(moment)
    res.setHeader(HEADER, text)
    const common = { path: '/', sameSite: 'lax', secure: options.client.isSecure(req) } as const
    const set = (name: string, value: string, maxAge: number) =>
      res.appendHeader(
        'Set-Cookie',
        stringifySetCookie({ ...common, name, value, maxAge, httpOnly: true }),
      )
    set(COOKIE + text.slice(-8), text, Math.ceil(options.lifeMs / 1000))
    for (const [name, old] of cookies) if (includes(moment, tokens.read(old))) set(name, '', 0)
  }
}

/** Whether a moment stands for all that a token does, so that this need not be brought again. */
const includes = (moment: Moment | null, token: Token | null): boolean =>
  token === null ||
  (moment?.incarnation != null &&
    bareUuid(moment.incarnation) === token.incarnation &&
    covers(moment.snapshot, token.snapshot))

/** Nearly every read brings none, and should not pay for those that do. */
const bringsAny = ({ headers }: IncomingMessage): boolean =>
  headers['consistency-token'] !== undefined || headers.cookie?.includes(COOKIE) === true

function headerOf(req: IncomingMessage): string[] {
  const header = req.headers['consistency-token']
  return header === undefined ? [] : String(header).split(/[\s,]+/)
}

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
