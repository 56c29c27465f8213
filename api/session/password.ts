import { pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)

/** Django's `pbkdf2_sha256$<iterations>$<salt>$<base64 hash>`. */
const FORMAT = /^pbkdf2_sha256\$([1-9]\d{0,8})\$([^$]+)\$([A-Za-z0-9+/]{43}=)$/
const HASH_BYTES = 32

/** The iterations of a hash by Django 5.2. */
export const DJANGO_ITERATIONS = 1_000_000

/**
 * Whether a password is the one that was hashed. No password matches a text that is not a hash.
 *
 * A wrong password takes as long as `iterations` do, unless the hash has more: for a user who does not
 * exist (`null`), for an unusable hash, and for a hash from before the number was raised.
 */
export async function verifyPassword(
  password: string,
  stored: string | null,
  iterations: number,
): Promise<boolean> {
  const hash = parseHash(stored)
  if (hash !== null) {
    const derived = await derive(password, hash.salt, hash.iterations, HASH_BYTES, 'sha256')
    if (timingSafeEqual(derived, hash.bytes)) return true
  }
  const left = iterations - (hash?.iterations ?? 0)
  if (left > 0) await derive(password, 'a salt of no user', left, HASH_BYTES, 'sha256')
  return false
}

/** Hashes a password as Django does. */
export async function hashPassword(password: string, iterations: number): Promise<string> {
  const salt = randomBytes(16).toString('hex')
  const hash = await derive(password, salt, iterations, HASH_BYTES, 'sha256')
  return `pbkdf2_sha256$${iterations}$${salt}$${hash.toString('base64')}`
}

/** Whether a hash has fewer iterations than a new one would have. */
export function isOutdated(stored: string, iterations: number): boolean {
  const hash = parseHash(stored)
  return hash !== null && hash.iterations < iterations
}

function parseHash(stored: string | null) {
  const [, iterations, salt, bytes] = FORMAT.exec(stored ?? '') ?? []
  if (salt === undefined || bytes === undefined) return null
  return { iterations: Number(iterations), salt, bytes: Buffer.from(bytes, 'base64') }
}
