import type { z } from 'zod'
import type { Viewer } from '../../db/queries/fragments/viewer.ts'
import type { SecurityEvent } from '../http/security-log.ts'
import { type Id, user, type WriteRule } from './access.ts'
import type { Endpoint, Trx } from './endpoint.ts'
import { get } from './get.ts'
import { idOf } from './path-parameters.ts'
import { del, put } from './write.ts'

interface Item<Body extends z.ZodType, Granted> {
  /** Name of the entity in messages. */
  readonly entity: string
  readonly summaries: { readonly get: string; readonly put: string; readonly delete: string }
  /** Access to PUT and DELETE. */
  readonly access: WriteRule<Id, Granted>
  /** The event of PUT and DELETE in the security log. */
  readonly event?: SecurityEvent | undefined
  readonly shape: z.ZodType
  /** Reads an item, as far as the viewer may. */
  readonly find: (trx: Trx, id: string, viewer: Viewer) => Promise<string | null>
  /** The case in which a GET has no body. */
  readonly isEmpty?: string | undefined
  /** The answer of PUT, if it is not that of GET. */
  readonly changed?: {
    readonly shape: z.ZodType
    readonly find: (trx: Trx, id: string) => Promise<string | null>
  }
  readonly body: Body
  /** Locks rows of other items before a write. A DELETE has no body. */
  readonly lock?: (
    trx: Trx,
    id: string,
    context: { readonly granted: Granted; readonly body: z.output<Body> | undefined },
  ) => Promise<void>
  readonly update: (
    trx: Trx,
    id: string,
    body: z.output<Body>,
    granted: Granted,
  ) => Promise<unknown>
  readonly remove: (trx: Trx, id: string) => Promise<unknown>
  /** Returns the paths of the files that belong to an item. */
  readonly findFiles?: (trx: Trx, id: string) => Promise<readonly string[]>
}

/** Declares GET, PUT and DELETE of an item with an id, which all users may read. */
export function item<Body extends z.ZodType, Granted>(
  path: `${string}/:id`,
  options: Item<Body, Granted>,
): readonly Endpoint[] {
  const { entity, summaries, access, event, isEmpty, shape, find, changed } = options
  const { body, lock, update, remove, findFiles } = options
  const params = { id: idOf(entity) }
  type Path = typeof path
  /** Reads the item for a user whose right to change it has been checked. */
  const shown = (trx: Trx, { id }: Id, { userId }: { readonly userId: string }) =>
    find(trx, id, { userId, isSuperuser: true })

  return [
    get(path, {
      summary: summaries.get,
      access: user,
      params,
      answers: { 200: shape },
      isEmpty,
      etag: true,
      read: (trx, { id }, { user }) => find(trx, id, user),
    }),
    put<Path, Body, Granted>(path, {
      summary: summaries.put,
      access,
      params,
      event,
      body,
      answers: { 200: changed?.shape ?? shape },
      lock: lock && ((trx, { id }, context) => lock(trx, id, context)),
      shown,
      answer: changed && ((trx, { id }) => changed.find(trx, id)),
      async write(trx, { id }, { body, granted }) {
        await update(trx, id, body, granted)
      },
    }),
    del<Path, Body, Granted>(path, {
      summary: summaries.delete,
      access,
      params,
      event,
      answers: { 204: null },
      lock: lock && ((trx, { id }, { granted }) => lock(trx, id, { granted, body: undefined })),
      shown,
      async write(trx, { id }, { files }) {
        if (findFiles) files.discard(await findFiles(trx, id))
        await remove(trx, id)
      },
    }),
  ]
}
