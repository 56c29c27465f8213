import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Moment } from '../../db/queries/incarnation.ts'
import { bareUuid } from '../../shared/cache/cached-value.ts'
import type { ConsistencyToken } from '../../shared/cache/consistency-token.ts'
import { sessionKeys } from '../../shared/session-key.ts'

/** What a client is given when it has written, so that it sees that again wherever it reads. */
export interface ConsistencyTokens {
  /** Stands for everything committed before a moment; `null`: it could not be told, nothing covers it. */
  issue(moment: Moment | null): string
  /** Whether a text may be a token that counts; costs no signature. */
  isPlausible(text: string): boolean
  /** Reads what a client brings back; `null` for what is not ours, was changed, or has had its time. */
  read(text: string): ConsistencyToken | null
}

export interface ConsistencyTokenOptions {
  /** Afterwards nothing as old as that is fresh anywhere, however the hosts' clocks differ. */
  readonly lifetimeMs: number
  /** The host's clock. */
  readonly nowMs?: () => number
}

/**
 * The transactions in progress that a token names. Of more it names the oldest, which are the ones
 * that last; one that it leaves out counts as seen, which asks for more and never for less.
 */
const MAX_IN_PROGRESS = 16
const MAC_BYTES = 16

/** Key, time of issue, incarnation, xmax, how far below it others were in progress, signature. */
const SHAPE =
  /^(([\w-]{8})\.([\da-z]{1,10})\.([\da-f]{32})?\.(\d{1,20})\.((?:\d{1,20}(?:_\d{1,20})*)?))\.([\w-]{22})$/
const MAX_LENGTH = 512

/** Tokens signed with keys that follow from the session secrets: the first signs, all verify. */
export function createConsistencyTokens(
  secrets: readonly string[],
  { lifetimeMs, nowMs = Date.now }: ConsistencyTokenOptions,
): ConsistencyTokens {
  const keys = sessionKeys(secrets).map(({ id, secret }) => ({
    id,
    // As an object it costs half of what its bytes do, each time.
    key: createSecretKey(createHmac('sha256', secret).update('spms consistency token').digest()),
  }))
  const [current] = keys
  if (current === undefined) throw new Error('a token needs a secret')

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

  /** All that can be said of a text without its signature. */
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
