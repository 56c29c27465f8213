import { pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)

/** Django's `pbkdf2_sha256$<iterations>$<salt>$<base64 hash>`. */
const FORMAT = /^pbkdf2_sha256\$([1-9]\d{0,8})\$([^$]+)\$([A-Za-z0-9+/]{43}=)$/
const HASH_BYTES = 32

/** How often Django 5.2 hashes by default. */
export const DJANGO_ITERATIONS = 1_000_000

/** Whether a password is the one that was hashed. What cannot be a hash matches nothing. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, iterations, salt, hash] = FORMAT.exec(stored) ?? []
  if (salt === undefined || hash === undefined) return false
  const derived = await derive(password, salt, Number(iterations), HASH_BYTES, 'sha256')
  return timingSafeEqual(derived, Buffer.from(hash, 'base64'))
}

/** Hashes a password as Django does. */
export async function hashPassword(password: string, iterations: number): Promise<string> {
  const salt = randomBytes(16).toString('hex')
  const hash = await derive(password, salt, iterations, HASH_BYTES, 'sha256')
  return `pbkdf2_sha256$${iterations}$${salt}$${hash.toString('base64')}`
}
