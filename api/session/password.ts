import { randomBytes, timingSafeEqual } from 'node:crypto'
import { extname } from 'node:path'
import { Piscina } from 'piscina'
import type { KeyRequest } from './derive-key.ts'

/** The format of Django: `pbkdf2_sha256$<iterations>$<salt>$<base64 hash>`. */
const FORMAT = /^pbkdf2_sha256\$([1-9]\d{0,8})\$([^$]+)\$([A-Za-z0-9+/]{43}=)$/
const HASH_BYTES = 32

/** Iterations of a hash in Django 5.2. */
export const DJANGO_ITERATIONS = 1_000_000

/** Maximum number of concurrent hashes in one process. */
export const HASHES_AT_ONCE = 2

/**
 * Worker threads with a low priority, so that other requests get the CPU first. They start on demand
 * and stop when idle.
 */
const threads = new Piscina<KeyRequest, Uint8Array>({
  // The extension is `.ts` in the sources and `.js` after compilation.
  filename: new URL(`./derive-key${extname(import.meta.url)}`, import.meta.url).href,
  minThreads: 0,
  maxThreads: HASHES_AT_ONCE,
  idleTimeout: 10_000,
  niceIncrement: 10,
})

const derive = (password: string, salt: string, iterations: number): Promise<Uint8Array> =>
  threads.run({ password, salt, iterations, bytes: HASH_BYTES })

/**
 * Whether a password matches a stored hash. No password matches a text that is not a hash.
 *
 * A wrong password takes as long as `iterations`, or as the stored hash if it has more. This includes
 * users that do not exist (null), unusable hashes, and hashes with fewer iterations. The response time
 * therefore does not reveal whether a user exists.
 */
export async function verifyPassword(
  password: string,
  stored: string | null,
  iterations: number,
): Promise<boolean> {
  const hash = parseHash(stored)
  if (hash !== null) {
    const derived = await derive(password, hash.salt, hash.iterations)
    if (timingSafeEqual(derived, hash.bytes)) return true
  }
  const missing = iterations - (hash?.iterations ?? 0)
  if (missing > 0) await derive(password, 'a salt of no user', missing)
  return false
}

/** Hashes a password as Django does. */
export async function hashPassword(password: string, iterations: number): Promise<string> {
  const salt = randomBytes(16).toString('hex')
  const hash = await derive(password, salt, iterations)
  return `pbkdf2_sha256$${iterations}$${salt}$${Buffer.from(hash).toString('base64')}`
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
