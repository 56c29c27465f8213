import { createHash, createHmac } from 'node:crypto'

/** A secret that signs sessions, and the short name under which a session says which one it was. */
export interface SessionKey {
  readonly id: string
  readonly secret: Buffer
}

/** The first signs; all verify, so that a secret can be replaced without ending sessions. */
export function sessionKeys(secrets: readonly string[]): readonly SessionKey[] {
  return secrets.map((secret) => ({
    id: createHash('sha256').update(`spms session key\n${secret}`).digest('base64url').slice(0, 8),
    secret: Buffer.from(secret),
  }))
}

/** What a session was opened with. */
export interface SessionGround {
  readonly userId: string
  readonly passwordHash: string
  /** Of `findSessionRevocations`. */
  readonly epoch: string
}

/**
 * Stands for a password hash where the hash itself must not be: it changes with the password and with
 * each revocation of all sessions, and without the secret nothing can be learned from it.
 */
export function fingerprint(
  key: SessionKey,
  { userId, passwordHash, epoch }: SessionGround,
): string {
  return createHmac('sha256', key.secret)
    .update(`spms password fingerprint\n${userId}\n${epoch}\n${passwordHash}`)
    .digest('base64url')
}
