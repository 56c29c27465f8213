import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Moment } from '../../db/event-log/index.ts'
import { bareUuid, type ConsistencyToken } from '../../shared/cache/index.ts'
import { sessionKeys } from '../../shared/session-key.ts'

/** Signed tokens that a client receives after a write and returns to read its own writes. */
export interface ConsistencyTokens {
  /**
   * Returns a token for everything committed before `moment`. With null no cached value satisfies
   * it.
   */
  issue(moment: Moment | null): string
  /**
   * Whether a text has the format of a token, a known key and has not expired. Checks no signature.
   */
  isPlausible(text: string): boolean
  /** Verifies and decodes a token; null if it is forged, malformed or expired. */
  read(text: string): ConsistencyToken | null
}

export interface ConsistencyTokenOptions {
  /**
   * How long a token is valid. It includes the tolerated clock skew between hosts: by then every older
   * value has expired.
   */
  readonly lifetimeMs: number
  /** Wall-clock time in ms. */
  readonly nowMs?: () => number
}

/**
 * Maximum number of transactions in progress that a token lists, the oldest first, because they run longest.
 * A transaction that is left out counts as committed, which makes the token stricter.
 */
const MAX_IN_PROGRESS = 16
const MAC_BYTES = 16

/**
 * Key id, time of issue, incarnation, xmax, offsets of transactions in progress from xmax,
 * signature.
 */
const SHAPE =
  /^(([\w-]{8})\.([\da-z]{1,10})\.([\da-f]{32})?\.(\d{1,20})\.((?:\d{1,20}(?:_\d{1,20})*)?))\.([\w-]{22})$/
const MAX_LENGTH = 512

/** Creates tokens signed with keys derived from the session secrets: the first signs, all verify. */
export function createConsistencyTokens(
  secrets: readonly string[],
  { lifetimeMs, nowMs = Date.now }: ConsistencyTokenOptions,
): ConsistencyTokens {
  const keys = sessionKeys(secrets).map(({ id, secret }) => ({
    id,
    // A `KeyObject` makes each signature twice as fast as raw bytes.
    key: createSecretKey(createHmac('sha256', secret).update('spms consistency token').digest()),
  }))
  const [current] = keys
  if (current === undefined) throw new Error('consistency tokens need at least one secret')

  return {
    issue(moment) {
      const { xmax, xip } = moment?.snapshot ?? { xmax: 0n, xip: [] }
      const below = xip.slice(0, MAX_IN_PROGRESS).map((xid) => xmax - xid)
      const claims = [
        current.id,
        nowMs().toString(36),
        bareUuid(moment?.incarnation ?? ''),
        xmax,
        below.join('_'),
      ].join('.')
      return `${claims}.${sign(current.key, claims).toString('base64url')}`
    },

    isPlausible: (text) => parse(text) !== null,

    read(text) {
      const parsed = parse(text)
      if (parsed === null) return null
      const { key, claims, incarnation, xmaxText, below, mac } = parsed
      if (!timingSafeEqual(sign(key, claims), Buffer.from(mac, 'base64url'))) return null
      const xmax = BigInt(xmaxText)
      const xip = below === '' ? [] : below.split('_').map((offset) => xmax - BigInt(offset))
      return { incarnation, snapshot: { xmax, xip } }
    },
  }

  /** Splits a token; null if it is malformed, expired or has an unknown key. Checks no signature. */
  function parse(text: string) {
    const match = text.length <= MAX_LENGTH ? SHAPE.exec(text) : null
    if (match === null) return null
    const [
      ,
      claims = '',
      keyId,
      issuedAt = '',
      incarnation = null,
      xmaxText = '',
      below = '',
      mac = '',
    ] = match
    const key = keys.find(({ id }) => id === keyId)?.key
    if (key === undefined || nowMs() - Number.parseInt(issuedAt, 36) > lifetimeMs) return null
    return { key, claims, incarnation, xmaxText, below, mac }
  }
}

const sign = (key: KeyObject, claims: string): Buffer =>
  createHmac('sha256', key).update(claims).digest().subarray(0, MAC_BYTES)
