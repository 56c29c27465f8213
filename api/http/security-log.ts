import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'winston'
import type { PublicError } from '../../shared/errors.ts'
import type { Client } from './client.ts'
import { isSafe } from './safe-method.ts'
import { createTokenBuckets } from './token-buckets.ts'

/** What a request does that matters to security, beyond a read or an ordinary write. */
export type SecurityEvent =
  | 'log_in'
  | 'log_out'
  | 'log_out_everywhere'
  | 'password_change'
  | 'address_change'
  | 'rights_change'
  | 'user_deletion'

/** What is known of a request by the time it is answered. */
export interface SecurityContext {
  readonly event?: SecurityEvent | undefined
  /** Who asks. */
  readonly userId?: string
  /** The user whom it concerns, where that is another one or nobody is logged in. */
  readonly targetUserId?: string
  /** The names of what was changed, never its values. */
  readonly changed?: readonly string[]
}

/**
 * Writes one line at `info` for each refusal (401, 403, 429), each event above and each write. The format is
 * documented in docs/security-log.md. No line holds a secret, a user name that was typed, or a query.
 */
export interface SecurityLog {
  /** Logs what an unsafe request did, once it is answered with success. */
  logSuccess(req: IncomingMessage, res: ServerResponse): void
  /** Logs that a request is answered with this error, if that is a refusal. */
  logRejection(req: IncomingMessage, res: ServerResponse, error: PublicError): void
}

const REJECTION_STATUSES: ReadonlySet<number> = new Set([401, 403, 429])
const MAX_PATH_LENGTH = 200
/** Refusals of one network beyond this are counted, and not written: a flood must not fill a disk. */
const REJECTIONS_LOGGED = { perS: 1, burst: 20 }

// On the request itself: an async context would cost a fifth of a hit.
const SECURITY_CONTEXT = Symbol('security context')

type WithSecurityContext = IncomingMessage & {
  [SECURITY_CONTEXT]?: SecurityContext
  readonly originalUrl?: string
}

/** Adds to what is known of a request. */
export function addSecurityContext(req: WithSecurityContext, context: SecurityContext): void {
  req[SECURITY_CONTEXT] = { ...req[SECURITY_CONTEXT], ...context }
}

export function createSecurityLog(logger: Logger, client: Client): SecurityLog {
  const lines = createTokenBuckets(REJECTIONS_LOGGED)
  let suppressed = 0

  function write(
    req: WithSecurityContext,
    res: ServerResponse,
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
      requestId: res.getHeader('X-Request-Id'),
    })
  }

  return {
    logSuccess(req, res) {
      // Not `finish`: the client may have gone, and the write is done all the same.
      res.once('close', () => {
        if (res.headersSent && res.statusCode < 400) {
          write(req, res, { outcome: 'success', status: res.statusCode })
        }
      })
    },

    logRejection(req, res, { status, message, challenge }) {
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
      write(req, res, { outcome: 'refused', status, reason: message, ...more }, network)
    },
  }
}

const pathOf = ({ originalUrl, url = '' }: WithSecurityContext): string =>
  (originalUrl ?? url).split('?', 1)[0]?.slice(0, MAX_PATH_LENGTH) ?? ''
