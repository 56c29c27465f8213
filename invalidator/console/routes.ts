import type { IncomingMessage, ServerResponse } from 'node:http'
import { TokenBucket } from '../../shared/cache/index.ts'
import type { ConsoleOptions, Running } from './options.ts'
import { type PageFile, readPageFiles } from './page-files.ts'
import { MAX_STREAMS } from './streams.ts'
import { Unanswerable } from './unanswerable.ts'

/** Answers a request; returns false if it is not for the console. */
export type ConsoleHandler = (req: IncomingMessage, res: ServerResponse) => boolean

/** The page runs only its own scripts and contacts only its own server. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const HEADERS = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Frame-Options': 'DENY',
}

const MAX_BODY_BYTES = 4_096
const MAX_TEXT = 2_048
const MAX_HISTORY = 500
/** Flushes and wrong tokens per second. */
const FLUSHES_PER_S = 1
const FLUSHES_BURST = 5
const NOT_BUILT = 'The page of the console has not been built: run npm run build.\n'

interface Context {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly query: URLSearchParams
  readonly running: Running
}

type Route = (context: Context) => Promise<unknown>

/** Creates the handler of the page, its data, and `/events`. */
export function createConsoleHandler(
  { pageFolder, token, logger }: ConsoleOptions,
  running: () => Running | null,
): ConsoleHandler {
  const files = readPageFiles(pageFolder)
  const flushes = new TokenBucket(FLUSHES_PER_S, FLUSHES_BURST)

  const gets: Readonly<Record<string, Route>> = {
    '/console/overview': ({ query, running: { model } }) =>
      model.overview(Number(query.get('after') ?? 0) || 0),
    '/console/resources': ({ running: { model } }) => model.resources(),
    '/console/explain': ({ query, running: { model } }) =>
      model.explain(textIn(query, 'what'), query.get('as') || null),
  }
  const posts: Readonly<Record<string, Route>> = {
    '/console/verification': async ({ req, running: { model } }) =>
      model.verify(await readWhat(req)),
    async '/console/flush'({ req, res, running: { model } }) {
      if (flushes.take() > 0) throw new Rejected(429, 'too many flushes: try again in a second')
      const given = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1]
      if (token === undefined) throw new Rejected(403, 'this console is read-only: it has no token')
      if (given === undefined || !model.isToken(given)) {
        res.setHeader('WWW-Authenticate', 'Bearer')
        throw new Rejected(401, 'the token is wrong')
      }
      const what = await readWhat(req)
      logger.info('flush requested in the console', { what })
      return model.flush(what)
    },
  }

  function openStream(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
    const { streams } = running() ?? {}
    if (streams === undefined) return sendProblem(res, 503, 'the invalidator is starting')
    if (streams.count >= MAX_STREAMS) return sendProblem(res, 503, 'too many streams are open')
    res.writeHead(200, {
      ...HEADERS,
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      // A proxy must not collect events.
      'X-Accel-Buffering': 'no',
    })
    if (req.method === 'HEAD') {
      res.end()
      return
    }
    const filter = {
      table: query.get('table') || null,
      resource: query.get('resource') || null,
      key: query.get('key') || null,
    }
    const history = Math.min(MAX_HISTORY, Math.max(0, Number(query.get('history')) || 0))
    streams.open(res, filter, history)
  }

  async function run(route: Route, req: IncomingMessage, res: ServerResponse, url: URL) {
    const now = running()
    if (now === null) return sendProblem(res, 503, 'the invalidator is starting')
    try {
      const body = await route({ req, res, query: url.searchParams, running: now })
      sendJson(res, 200, body)
    } catch (error) {
      if (error instanceof Rejected) sendProblem(res, error.status, error.message)
      else if (error instanceof Unanswerable) sendProblem(res, 422, error.message)
      else {
        logger.warn('the console could not answer', { path: url.pathname, error })
        sendProblem(res, 503, error instanceof Error ? error.message : 'failed')
      }
    }
  }

  async function sendFile(req: IncomingMessage, res: ServerResponse, path: string) {
    const file = (await files).get(path)
    if (file !== undefined) return send(req, res, file)
    res.writeHead(path === '/' ? 503 : 404, { ...HEADERS, 'Content-Type': 'text/plain' })
    res.end(path === '/' ? NOT_BUILT : 'not found\n')
  }

  return (req, res) => {
    const url = parseUrl(req.url)
    if (url === null) return false
    const { pathname } = url
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    const [get, post] = [gets[pathname], posts[pathname]]
    const isPage = pathname === '/' || pathname.startsWith('/assets/')
    if (!isPage && pathname !== '/events' && get === undefined && post === undefined) return false
    if (post !== undefined) {
      if (req.method !== 'POST') sendNotAllowed(res, 'POST')
      else if (isForeign(req)) sendProblem(res, 403, 'only this page may send this request')
      else void run(post, req, res, url)
    } else if (!isRead) sendNotAllowed(res, 'GET, HEAD')
    else if (pathname === '/events') openStream(req, res, url.searchParams)
    else if (get === undefined) void sendFile(req, res, pathname)
    else void run(get, req, res, url)
    return true
  }
}

class Rejected extends Error {
  override readonly name = 'Rejected'
  readonly status: number

  constructor(status: number, detail: string) {
    super(detail)
    this.status = status
  }
}

const BASE = 'http://localhost'
const parseUrl = (text = ''): URL | null => (URL.canParse(text, BASE) ? new URL(text, BASE) : null)

/** Whether a browser sends the request for the page of another site. */
const isForeign = ({ headers }: IncomingMessage) =>
  !['same-origin', 'none', undefined].includes(headers['sec-fetch-site']) ||
  headers['content-type'] !== 'application/json'

function textIn(query: URLSearchParams, name: string): string {
  const text = query.get(name)?.trim() ?? ''
  if (text === '') throw new Rejected(400, `${name}: is not set`)
  if (text.length > MAX_TEXT) throw new Rejected(400, `${name}: is longer than ${MAX_TEXT}`)
  return text
}

/** Reads `{ "what": "..." }`. */
async function readWhat(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of req) {
    length += (chunk as Buffer).length
    if (length > MAX_BODY_BYTES) throw new Rejected(413, 'the body is too large')
    chunks.push(chunk as Buffer)
  }
  try {
    const { what } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly what?: unknown }
    if (typeof what === 'string' && what !== '' && what.length <= MAX_TEXT) return what
  } catch {
    // Reported below.
  }
  throw new Rejected(400, 'the body is not {"what": "..."}')
}

function send(req: IncomingMessage, res: ServerResponse, file: PageFile): void {
  const headers = {
    ...HEADERS,
    'Content-Type': file.type,
    ETag: file.etag,
    Vary: 'Accept-Encoding',
    'Cache-Control': file.isImmutable ? 'max-age=31536000, immutable' : 'no-cache',
  }
  if (req.headers['if-none-match'] === file.etag) {
    res.writeHead(304, headers).end()
    return
  }
  const isGzip = /\bgzip\b/.test(String(req.headers['accept-encoding']))
  const body = isGzip ? file.gzip : file.body
  res.writeHead(200, {
    ...headers,
    'Content-Length': body.length,
    ...(isGzip && { 'Content-Encoding': 'gzip' }),
  })
  res.end(req.method === 'HEAD' ? undefined : body)
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  res.writeHead(status, {
    ...HEADERS,
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(text),
  })
  res.end(text)
}

const sendProblem = (res: ServerResponse, status: number, detail: string): void =>
  sendJson(res, status, { detail })

function sendNotAllowed(res: ServerResponse, allowed: string): void {
  res.setHeader('Allow', allowed)
  sendProblem(res, 405, `use ${allowed}`)
}
