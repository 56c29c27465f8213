import type { IncomingMessage } from 'node:http'
import { etagOf } from '../../shared/cache/cached-value.ts'
import { PublicError } from '../../shared/errors.ts'

/** The answer of a write, with the entity tag of the resource that it has changed. */
export class Tagged {
  readonly body: string
  readonly etag: string

  constructor(body: string, etag: string) {
    this.body = body
    this.etag = etag
  }
}

/**
 * The answer of a write. `shown` is what a GET of the resource answers now, unless that is the
 * answer itself; both are read in the write's transaction.
 */
export const tagged = (body: string, shown: string | null = body): Tagged =>
  new Tagged(body, tagOf(shown))

/** The same for equal texts, whether the cache, Postgres or a write's transaction gave them. */
export const tagOf = (text: string | null): string =>
  etagOf(text === null ? null : Buffer.from(text))

/**
 * Makes sure that a resource, which is locked, is still what the client has seen. `show` reads what a
 * GET of it answers. Without `If-Match`, and with `*`, every state will do.
 * @throws PublicError `precondition_failed`.
 */
export async function requireMatch(
  req: IncomingMessage,
  show: () => Promise<string | null>,
): Promise<void> {
  const wanted = req.headers['if-match']
  if (wanted === undefined || wanted.trim() === '*') return
  // Tags that begin with `W/` are weak: none of them matches.
  const tags = [...wanted.matchAll(/(W\/)?("[^"]*")/g)].flatMap(([, weak, tag]) =>
    weak === undefined ? tag : [],
  )
  const shown = await show()
  if (shown !== null && tags.includes(tagOf(shown))) return
  throw new PublicError(
    'precondition_failed',
    'The resource has been changed since it was read. Read it again.',
  )
}
