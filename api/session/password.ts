import { randomBytes, timingSafeEqual } from 'node:crypto'
import { extname } from 'node:path'
import { Piscina } from 'piscina'
import type { KeyRequest } from './derive-key.ts'

/** Django's `pbkdf2_sha256$<iterations>$<salt>$<base64 hash>`. */
const FORMAT = /^pbkdf2_sha256\$([1-9]\d{0,8})\$([^$]+)\$([A-Za-z0-9+/]{43}=)$/
const HASH_BYTES = 32

/** The iterations of a hash by Django 5.2. */
export const DJANGO_ITERATIONS = 1_000_000

/** Derivations that run at the same time in one process. */
export const HASHES_AT_ONCE = 2

/**
 * Threads with a low priority: requests that need no hash get the processor first. They start with the first hash,
 * and end when none was needed for a while.
 */
const threads = new Piscina<KeyRequest, Uint8Array>({
  // Compiled, both files end in `.js`.
  filename: new URL(`./derive-key${extname(import.meta.url)}`, import.meta.url).href,
  minThreads: 0,
  maxThreads: HASHES_AT_ONCE,
  idleTimeout: 10_000,
  niceIncrement: 10,
})

const derive = (password: string, salt: string, iterations: number): Promise<Uint8Array> =>
  threads.run({ password, salt, iterations, bytes: HASH_BYTES })

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
    const derived = await derive(password, hash.salt, hash.iterations)
    if (timingSafeEqual(derived, hash.bytes)) return true
  }
  const left = iterations - (hash?.iterations ?? 0)
  if (left > 0) await derive(password, 'a salt of no user', left)
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
