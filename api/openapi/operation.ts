import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { requireReadable } from '../http/body.ts'
import { addSecurityContext, type SecurityEvent } from '../http/security-log.ts'

/** What the API's document says of one method of a route; its path and its errors follow from the route. */
export interface Operation {
  /** One line, such as `Changes a branch`. */
  readonly summary: string
  /** Who may: anyone, every user, or only those users that are named here, such as `superusers`. */
  readonly who: 'anyone' | 'users' | (string & {})
  /** The schema that the handler parses the query with. */
  readonly query?: z.ZodType<unknown, Record<string, unknown>>
  /** The schema that the handler parses the body with. */
  readonly body?: z.ZodType
  /** Whether the body may be left out. */
  readonly isBodyOptional?: true
  /** Whether it compares `If-Match`. By default `PUT` and `DELETE` do. */
  readonly isConditional?: boolean
  /** By default JSON. */
  readonly bodyType?: string
  /** What a path parameter is, unless it is an id. */
  readonly params?: Readonly<Record<string, z.ZodType>>
  /** What the security log calls a success and a refusal, where it is more than a read or a write. */
  readonly event?: SecurityEvent
  /** By status: the shape of the JSON, the type of what is no JSON, or `null` for no body. */
  readonly answers: Readonly<Record<number, z.ZodType | string | null>>
  /** When a success has no body, such as `for the id 0`. */
  readonly isEmpty?: string
}

/** Stands before a handler, rejects a body that could not be read, and describes the handler. */
export interface Described {
  (req: IncomingMessage, res: unknown, next: () => void): void
  readonly operation: Operation
}

/**
 * Says what a handler takes and answers. It stands before the handler, names the security event of a
 * request, and rejects a body that could not be read:
 *
 * ```ts
 * router.route('/agencies/branches').post(addBranch, async (req, res) => ...)
 *
 * const addBranch = operation({
 *   summary: 'Adds a branch',
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

/** Whether a handler is one that `operation` made. */
export const isDescribed = (handler: object): handler is Described => 'operation' in handler
