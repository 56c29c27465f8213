import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'winston'
import type { PublicError } from '../../shared/errors.ts'
import type { Client } from './client.ts'
import { requestIdOf } from './request-id.ts'
import { isSafe } from './safe-method.ts'
import { createTokenBuckets } from './token-buckets.ts'

/** Security events other than a read or an ordinary write. */
export type SecurityEvent =
  | 'log_in'
  | 'log_out'
  | 'log_out_everywhere'
  | 'password_change'
  | 'address_change'
  | 'rights_change'
  | 'user_creation'
  | 'user_deletion'

/** Fields of the log line that handlers add while they process a request. */
export interface SecurityContext {
  readonly event?: SecurityEvent | undefined
  /** The user who sent the request. */
  readonly userId?: string
  /** The user whom the event concerns, if it is another one or the request is anonymous. */
  readonly targetUserId?: string
  /** Names of changed fields, never their values. */
  readonly changed?: readonly string[]
}

/**
 * Writes one line at `info` for each rejection (401, 403, 429), each `SecurityEvent` and each write. The
 * format is documented in docs/security-log.md. No line contains a secret, a typed user name, or a query.
 */
export interface SecurityLog {
  /** Logs an unsafe request after its response, if the response is a success. */
  logSuccess(req: IncomingMessage, res: ServerResponse): void
  /** Logs that a request is rejected with an error, if its status is 401, 403 or 429. */
  logRejection(req: IncomingMessage, error: PublicError): void
}

const REJECTION_STATUSES: ReadonlySet<number> = new Set([401, 403, 429])
const MAX_PATH_LENGTH = 200
/**
 * Rejections of one network that are logged. Further ones are only counted, so that a flood cannot
 * fill the disk.
 */
const REJECTIONS_LOGGED = { perS: 1, burst: 20 }

// A property of the request, because an async context costs a cache hit 20 %.
const SECURITY_CONTEXT = Symbol('security context')

type WithSecurityContext = IncomingMessage & {
  [SECURITY_CONTEXT]?: SecurityContext
  readonly originalUrl?: string
}

/** Adds fields to the log line of a request. */
export function addSecurityContext(req: WithSecurityContext, context: SecurityContext): void {
  req[SECURITY_CONTEXT] = { ...req[SECURITY_CONTEXT], ...context }
}

export function createSecurityLog(logger: Logger, client: Client): SecurityLog {
  const lines = createTokenBuckets(REJECTIONS_LOGGED)
  let suppressed = 0

  function write(
    req: WithSecurityContext,
    fields: Readonly<Record<string, unknown>>,
    network = client.network(req),
  ): void {
    const { event, ...context } = req[SECURITY_CONTEXT] ?? {}
    logger.info('security event', {
      event: event ?? (isSafe(req) ? 'read' : 'write'),
      ...fields,
      method: req.method,
      path: pathOf(req),
      ...context,
      network,
      requestId: requestIdOf(req),
    })
  }

  return {
    logSuccess(req, res) {
      // `close` instead of `finish`: if the client has disconnected, the write is still committed.
      res.once('close', () => {
        if (res.headersSent && res.statusCode < 400) {
          write(req, { outcome: 'success', status: res.statusCode })
        }
      })
    },

    logRejection(req, { status, message, challenge }) {
      if (!REJECTION_STATUSES.has(status)) return
      const network = client.network(req)
      if (lines.take(network) > 0) {
        suppressed++
        return
      }
      const isTokenError = challenge?.includes('error="invalid_token"') === true
      const more = {
        ...(isTokenError && { token: 'rejected' }),
        ...(suppressed > 0 && { suppressed }),
      }
      suppressed = 0
      write(req, { outcome: 'refused', status, reason: message, ...more }, network)
    },
  }
}

const pathOf = ({ originalUrl, url = '' }: WithSecurityContext): string =>
  (originalUrl ?? url).split('?', 1)[0]?.slice(0, MAX_PATH_LENGTH) ?? ''
