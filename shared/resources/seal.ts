import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import type { Params } from '../cache/index.ts'
import { RecentMap } from '../recent-map.ts'
import { sessionKeys } from '../session-key.ts'

/**
 * Signs cached values that decide who sends a request or what it may do. So write access to Redis gives
 * no permissions. Each session secret has a key of its own, and the variant of an entry names it. The
 * signature covers resource, parameters and variant: a value copied to another user's entry does not
 * verify.
 *
 * A signature does not prevent replay: an attacker can store an earlier correct value with other times.
 * A user then sees what they could see earlier. Writes check permissions in the database.
 */
export interface Seal {
  /** Returns the text to cache; `null` for a secret that is not configured. `value` is JSON. */
  seal(entry: SealedEntry, value: string): string | null
  /** Returns whether `seal` made a cached text for this entry. */
  verifies(entry: SealedEntry, body: Buffer): boolean
}

/** Identifies one value in the cache. */
export interface SealedEntry {
  readonly resource: string
  readonly params: Params
  /** Id of a session key. */
  readonly keyId: string
}

const MAC_BYTES = 16
/** Number of entries whose last genuine text is kept. */
const REMEMBERED = 5_000
/** Returns the text before a value. All of it is compared. */
const headOf = (mac: Buffer) => `{"mac":"${mac.toString('base64url')}","value":`
const VALUE_AT = headOf(Buffer.alloc(MAC_BYTES)).length
const TAIL = '}'.charCodeAt(0)

/** Creates a seal with keys that are derived from the session secrets. */
export function createSeal(secrets: readonly string[]): Seal {
  const keys = new Map(
    sessionKeys(secrets).map(({ id, secret }) => [
      id,
      createSecretKey(createHmac('sha256', secret).update('spms permission entry').digest()),
    ]),
  )

  /**
   * The last genuine text of each entry. Most reads find it again, and a comparison costs less than a
   * signature.
   */
  const genuine = new RecentMap<Buffer>(REMEMBERED)

  function macOf(name: string, keyId: string, value: string | Buffer): Buffer | null {
    const key = keys.get(keyId)
    if (key === undefined) return null
    return createHmac('sha256', key)
      .update(`${name}\n`)
      .update(value)
      .digest()
      .subarray(0, MAC_BYTES)
  }

  return {
    seal(entry, value) {
      const mac = macOf(nameOf(entry), entry.keyId, value)
      return mac && `${headOf(mac)}${value}}`
    },

    verifies(entry, body) {
      const name = nameOf(entry)
      if (genuine.get(name)?.equals(body)) return true
      const mac = macOf(name, entry.keyId, body.subarray(VALUE_AT, -1))
      if (mac === null || body.length <= VALUE_AT) return false
      const expected = Buffer.from(headOf(mac))
      const isGenuine =
        timingSafeEqual(expected, body.subarray(0, VALUE_AT)) && body.at(-1) === TAIL
      // A copy, because the text may be a part of a larger buffer.
      if (isGenuine) genuine.set(name, Buffer.from(body))
      return isGenuine
    },
  }
}

/** Returns a text that no other entry has. */
const nameOf = ({ resource, params, keyId }: SealedEntry): string =>
  JSON.stringify([resource, params, keyId])

/** Returns the JSON of the value in a text that `seal` made. */
export const unsealed = (body: Buffer): string => body.toString('utf8', VALUE_AT, body.length - 1)
