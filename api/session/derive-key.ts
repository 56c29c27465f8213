import { pbkdf2Sync } from 'node:crypto'

/** A password to derive a key from by PBKDF2 with SHA-256. */
export interface KeyRequest {
  readonly password: string
  readonly salt: string
  readonly iterations: number
  readonly bytes: number
}

/** Runs in a thread of its own: it takes most of a second of a core. */
export default function deriveKey({ password, salt, iterations, bytes }: KeyRequest): Uint8Array {
  return pbkdf2Sync(password, salt, iterations, bytes, 'sha256')
}
