import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { requireReadable } from '../http/body.ts'
import { addSecurityContext, type SecurityEvent } from '../http/security-log.ts'

/** The description of one method of a route in the OpenAPI document. The route supplies its path. */
export interface Operation {
  /** One line in the imperative, such as `Change a branch`. */
  readonly summary: string
  /** Allowed clients: anyone, all users, or a description of users, such as `superusers`. */
  readonly who: 'anyone' | 'users' | (string & {})
  /** The schema that the handler parses the query with. */
  readonly query?: z.ZodType<unknown, Record<string, unknown>>
  /** The schema that the handler parses the body with. */
  readonly body?: z.ZodType
  /** Whether the body is optional. */
  readonly isBodyOptional?: true
  /** Whether the method checks `If-Match`; by default `PUT` and `DELETE` do. */
  readonly isConditional?: boolean
  /** Media type of the body; JSON by default. */
  readonly bodyType?: string
  /** Schemas of path parameters that are not ids. */
  readonly params?: Readonly<Record<string, z.ZodType>>
  /** The event in the security log, if it is not `read` or `write`. */
  readonly event?: SecurityEvent
  /** By status: the schema of the JSON, the media type of another body, or null for no body. */
  readonly answers: Readonly<Record<number, z.ZodType | string | null>>
  /** The case in which a success has no body, such as `for the id 0`. */
  readonly isEmpty?: string
}

/** Middleware of one method of a route, with the description of the method. */
export interface Described {
  (req: IncomingMessage, res: unknown, next: () => void): void
  readonly operation: Operation
}

/**
 * Creates the middleware that describes a handler and runs before it. It sets the security event of a
 * request, and throws the error of a body that `readJson` could not read:
 *
 * ```ts
 * router.route('/agencies/branches').post(addBranch, async (req, res) => ...)
 *
 * const addBranch = operation({
 *   summary: 'Add a branch',
 *   who: 'superusers',
 *   body: newBranch,
 *   answers: { 201: branch },
 * })
 * ```
 */
export const operation = (described: Operation): Described => {
  const { event } = described
  const handle = (req: IncomingMessage, _res: unknown, next: () => void): void => {
    if (event !== undefined) addSecurityContext(req, { event })
    requireReadable(req)
    next()
  }
  return Object.assign(handle, { operation: described })
}

/** Whether a handler was created by `operation`. */
export const isDescribed = (handler: object): handler is Described => 'operation' in handler
