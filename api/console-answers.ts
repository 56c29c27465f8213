import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Kysely } from 'kysely'
import type { Database } from '../db/schema.ts'
import { type Buckets, createVerifier } from '../shared/cache/index.ts'
import { createLimiter } from '../shared/limiter.ts'
import { PublicError } from '../shared/errors.ts'
import { loadable } from '../shared/resources/index.ts'
import type { HttpConfig } from './config.ts'
import { findEntriesOfUrl, NoSuchUser } from './entries-of-url.ts'

export interface ConsoleAnswersDeps {
  readonly db: Kysely<Database>
  readonly buckets: Buckets
  readonly config: HttpConfig
  readonly prefix: string
}

/**
 * Returns a handler of the internal port that answers questions of the console: which entries a URL reads, and whether an
 * entry equals Postgres. It returns keys and outcomes, never a value, and deletes nothing. One question at
 * a time, since each takes a connection.
 */
export function createConsoleAnswers({
  db,
  buckets,
  config,
  prefix,
}: ConsoleAnswersDeps): (req: IncomingMessage, res: ServerResponse) => boolean {
  const resources = loadable(config.sessionSecrets)
  const verifier = createVerifier({ buckets, db, resources, prefix, keepsWrong: true })
  const inTurn = createLimiter(1, 10, () => new PublicError('throttled', 'too many questions'))

  const questions: Readonly<Record<string, (query: URLSearchParams) => Promise<unknown>>> = {
    '/console/entries': (query) =>
      findEntriesOfUrl(
        { db, config, prefix },
        query.get('url') ?? '',
        query.get('as') ?? undefined,
      ),
    '/console/verification': (query) => verifier.verifyKeys([query.get('key') ?? '']),
  }

  return (req, res) => {
    const url = parseUrl(req.url)
    const question = url === null ? undefined : questions[url.pathname]
    if (url === null || question === undefined || req.method !== 'GET') return false
    inTurn(() => question(url.searchParams)).then(
      (answer) => send(res, 200, answer),
      (error: unknown) => {
        const isKnown = error instanceof NoSuchUser || error instanceof PublicError
        send(res, isKnown ? 422 : 503, {
          detail: isKnown ? error.message : 'the API could not answer: see its log',
        })
      },
    )
    return true
  }
}

const BASE = 'http://localhost'
const parseUrl = (text = ''): URL | null => (URL.canParse(text, BASE) ? new URL(text, BASE) : null)

function send(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
