import type { IncomingMessage } from 'node:http'
import { etagOf } from '../../shared/cache/index.ts'
import { PublicError } from '../../shared/errors.ts'
import { plainTag } from './encoding.ts'

/** The response body of a write, with the entity tag of the changed resource. */
export class Tagged {
  readonly body: string
  readonly etag: string

  constructor(body: string, etag: string) {
    this.body = body
    this.etag = etag
  }
}

/**
 * Creates the response of a write. `shown` is the body of a GET of the resource, by default `body`. Both
 * must be read in the transaction of the write.
 */
export const tagged = (body: string, shown: string | null = body): Tagged =>
  new Tagged(body, tagOf(shown))

/**
 * Returns the entity tag of a body. Equal bodies have equal tags, from the cache as from Postgres.
 */
const tagOf = (text: string | null): string => etagOf(text === null ? null : Buffer.from(text))

/**
 * Checks `If-Match` against a locked resource. `show` reads the body of a GET of the resource. Without
 * `If-Match`, and with `*`, every state matches. The tag of each encoding of the body matches.
 * @throws PublicError `precondition_failed` if no tag matches.
 */
export async function requireMatch(
  req: IncomingMessage,
  show: () => Promise<string | null>,
): Promise<void> {
  const wanted = req.headers['if-match']
  if (wanted === undefined || wanted.trim() === '*') return
  // `If-Match` compares strongly (RFC 9110), so weak tags (`W/`) never match.
  const tags = [...wanted.matchAll(/(W\/)?("[^"]*")/g)].flatMap(([, weak, tag = '']) =>
    weak === undefined ? plainTag(tag) : [],
  )
  const shown = await show()
  if (shown !== null && tags.includes(tagOf(shown))) return
  throw new PublicError(
    'precondition_failed',
    'The resource has been changed since it was read. Read it again.',
  )
}
