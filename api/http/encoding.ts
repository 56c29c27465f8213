import type { IncomingMessage } from 'node:http'
import Negotiator from 'negotiator'
import type { Encoding } from '../../shared/cache/index.ts'
import { RecentMap } from '../../shared/recent-map.ts'

/** The encodings that a client accepts. */
export interface Accepted {
  readonly gzip: boolean
  /** Whether it accepts a plain body. */
  readonly plain: boolean
  /** Whether it prefers gzip to a plain body, or accepts both equally. */
  readonly prefersGzip: boolean
}

// By preference if a client accepts both equally by `*`.
const AVAILABLE = ['gzip', 'identity']
/** Without the header, a client accepts everything (RFC 9110), but clients without gzip do not send it. */
const ANYTHING: Accepted = { gzip: true, plain: true, prefersGzip: false }

/** Parsed headers. Most clients send one of a few, and a parse costs more than the rest of the choice. */
const parsed = new RecentMap<Accepted>(100)
/** Longer headers are parsed each time, so that clients cannot fill the memory with them. */
const MAX_REMEMBERED = 100

/** Returns the encodings that `Accept-Encoding` accepts. */
export function acceptedBy({ headers }: IncomingMessage): Accepted {
  const header = headers['accept-encoding']
  if (header === undefined) return ANYTHING
  const known = parsed.get(header)
  if (known !== undefined) return known
  const encodings = new Negotiator({ headers }).encodings(AVAILABLE)
  const accepted = {
    gzip: encodings.includes('gzip'),
    plain: encodings.includes('identity'),
    prefersGzip: encodings[0] === 'gzip',
  }
  if (header.length <= MAX_REMEMBERED) parsed.set(header, accepted)
  return accepted
}

const SUFFIX = '-gzip"'

/**
 * Returns the entity tag of a body in an encoding. A strong tag identifies bytes, so each encoding has its
 * own. No hash ends with the suffix.
 */
export const tagIn = (etag: string, encoding: Encoding | undefined): string =>
  encoding === undefined ? etag : `${etag.slice(0, -1)}${SUFFIX}`

/** Returns the entity tag of the plain body that a tag belongs to. */
export const plainTag = (tag: string): string =>
  tag.endsWith(SUFFIX) ? `${tag.slice(0, -SUFFIX.length)}"` : tag

/**
 * Returns the tag in `If-None-Match` that makes the response 304, which then contains it. Both encodings
 * of a body match, but not in an encoding that the client rejects: a shared cache would answer with it.
 * The comparison is weak (RFC 9110).
 */
export function heldTag(
  header: string | undefined,
  etag: string,
  encoding: Encoding | undefined,
  accepted: Accepted,
): string | undefined {
  if (header === undefined) return undefined
  const sent = tagIn(etag, encoding)
  if (header === sent || header === '*') return sent
  const tags = header.match(/"[^"]*"/g)
  if (tags === null) return undefined
  if (tags.includes(sent)) return sent
  const other = encoding === undefined ? tagIn(etag, 'gzip') : etag
  const isOtherAccepted = encoding === undefined ? accepted.gzip : accepted.plain
  return isOtherAccepted && tags.includes(other) ? other : undefined
}
