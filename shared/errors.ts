export { ConfigurationError } from '../db/event-log/index.ts'

/** Kinds of failures that clients are informed of, with the status of each. */
const STATUS = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  throttled: 429,
  unavailable: 503,
} as const

export type PublicErrorCode = keyof typeof STATUS

export interface PublicErrorExtras {
  /** Members sent beside `detail`, such as the messages of each wrong field. */
  readonly fields?: Readonly<Record<string, unknown>>
  /** Sent as `Retry-After`. */
  readonly retryAfterS?: number
  /** Sent as `WWW-Authenticate`. */
  readonly challenge?: string
  readonly cause?: unknown
}

/** A failure that the client is informed of. Any other exception is a bug. */
export class PublicError extends Error {
  override readonly name = 'PublicError'
  readonly code: PublicErrorCode
  readonly fields: Readonly<Record<string, unknown>>
  readonly retryAfterS: number | undefined
  readonly challenge: string | undefined

  constructor(code: PublicErrorCode, detail: string, extras: PublicErrorExtras = {}) {
    super(detail, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.code = code
    this.fields = extras.fields ?? {}
    this.retryAfterS = extras.retryAfterS
    this.challenge = extras.challenge
  }

  get status(): number {
    return STATUS[this.code]
  }
}

/** Returns a 404 error: `notFound('Profile', 5)` has the detail `Profile 5 not found`. */
export const notFound = (entity: string, id: string) =>
  new PublicError('not_found', `${entity} ${id} not found`)
