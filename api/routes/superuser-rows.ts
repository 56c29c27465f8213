import type { z } from 'zod'
import type { Actor } from '../../db/writes/actor.ts'
import type { KeptRow } from '../../db/writes/superuser.ts'
import {
  create,
  type Endpoint,
  item,
  superuser,
  superuserOf,
  type Trx,
  type WriteRule,
} from '../endpoints/index.ts'

type Find = (trx: Trx, id: string) => Promise<string | null>

interface SuperuserRows<New extends z.ZodType, Patch extends z.ZodType> {
  readonly table: KeptRow['table']
  /** Name of a row in messages. */
  readonly entity: string
  readonly summaries: {
    readonly post: string
    readonly get: string
    readonly put: string
    readonly delete: string
  }
  readonly shape: z.ZodType
  readonly find: Find
  /** The case in which a GET has no body. */
  readonly isEmpty?: string
  /** The answer of POST and PUT, if it is not that of GET. */
  readonly changed?: { readonly shape: z.ZodType; readonly find: Find }
  /** Access to POST, if not only superusers may add a row. */
  readonly addedBy?: WriteRule<unknown, Actor>
  readonly added: New
  readonly patch: Patch
  readonly insert: (trx: Trx, row: z.output<New>) => Promise<string>
  readonly update: (trx: Trx, id: string, patch: z.output<Patch>) => Promise<void>
  readonly remove: (trx: Trx, id: string) => Promise<void>
  /** Returns the paths of the files that belong to a row. */
  readonly findFiles?: (trx: Trx, id: string) => Promise<readonly string[]>
}

/**
 * Declares POST of rows, and GET, PUT and DELETE of one row. All users read them, superusers write; `addedBy`
 * lets other users add rows.
 */
export function superuserRows<New extends z.ZodType, Patch extends z.ZodType>(
  path: string,
  options: SuperuserRows<New, Patch>,
): readonly Endpoint[] {
  const { table, entity, summaries, shape, find, changed, addedBy, added, patch, insert } = options
  return [
    create(path, {
      summary: summaries.post,
      access: addedBy ?? superuser,
      body: added,
      answers: { 201: changed?.shape ?? shape },
      insert: (trx, _, { body }) => insert(trx, body),
      location: (id) => `${path}/${id}`,
      shown: find,
      answer: changed?.find,
    }),
    ...item(`${path}/:id`, {
      ...options,
      access: superuserOf(table, entity),
      body: patch,
    }),
  ]
}
