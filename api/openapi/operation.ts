import type { z } from 'zod'

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
  /** By default JSON. */
  readonly bodyType?: string
  /** What a path parameter is, unless it is an id. */
  readonly params?: Readonly<Record<string, z.ZodType>>
  /** By status: the shape of the JSON, the type of what is no JSON, or `null` for no body. */
  readonly answers: Readonly<Record<number, z.ZodType | string | null>>
}

/** Stands before a handler, and tells of it. */
export interface Described {
  (req: unknown, res: unknown, next: () => void): void
  readonly operation: Operation
}

/**
 * Says what a handler takes and answers. It stands before the handler, and does nothing on the way:
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
export const operation = (described: Operation): Described =>
  Object.assign((_req: unknown, _res: unknown, next: () => void) => next(), {
    operation: described,
  })

/** Whether a handler is one that `operation` made. */
export const isDescribed = (handler: object): handler is Described => 'operation' in handler
