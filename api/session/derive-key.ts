import { pbkdf2Sync } from 'node:crypto'

/** Arguments of a key derivation by PBKDF2 with SHA-256. */
export interface KeyRequest {
  readonly password: string
  readonly salt: string
  readonly iterations: number
  readonly bytes: number
}

/** Derives a key. Runs in a worker thread, because it takes most of a second of CPU time. */
export default function deriveKey({ password, salt, iterations, bytes }: KeyRequest): Uint8Array {
  return pbkdf2Sync(password, salt, iterations, bytes, 'sha256')
}
