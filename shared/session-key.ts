import { createHash, createHmac } from 'node:crypto'

/** A secret that signs sessions, and the short id by which a session names it. */
export interface SessionKey {
  readonly id: string
  readonly secret: Buffer
}

/**
 * Returns the keys of secrets. The first signs; all verify, so that secrets can be rotated without
 * ending sessions.
 */
export function sessionKeys(secrets: readonly string[]): readonly SessionKey[] {
  return secrets.map((secret) => ({
    id: createHash('sha256').update(`spms session key\n${secret}`).digest('base64url').slice(0, 8),
    secret: Buffer.from(secret),
  }))
}

/** State of a user when a session was opened. */
export interface SessionGround {
  readonly userId: string
  readonly passwordHash: string
  /** From `findSessionRevocations`. */
  readonly epoch: string
}

/**
 * Returns a fingerprint for places where the password hash itself must not be stored. It changes with the
 * password and with each revocation of all sessions. Without the secret it reveals nothing of the hash.
 */
export function fingerprint(
  key: SessionKey,
  { userId, passwordHash, epoch }: SessionGround,
): string {
  return createHmac('sha256', key.secret)
    .update(`spms password fingerprint\n${userId}\n${epoch}\n${passwordHash}`)
    .digest('base64url')
}
