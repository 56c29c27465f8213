import type { Kysely } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { involves, selectAdminTasks } from './fragments/admin-task.ts'
import { selectCaretakerRelations } from './fragments/caretaker-relation.ts'
import { jsonObject } from './fragments/json-object.ts'
import { hasNotEnded } from './fragments/has-not-ended.ts'
import type { Viewer } from './fragments/viewer.ts'
import { findArray, findJson, findObject } from './text.ts'

/** Returns all caretaker relations, including those that have ended. */
export const findCaretakerRelations = (trx: Kysely<Database>, viewer: Viewer): Promise<string> =>
  findArray(trx, selectCaretakerRelations(viewer).orderBy('relation.id'))

/** Returns one caretaker relation, or null. */
export const findCaretakerRelation = (
  trx: Kysely<Database>,
  id: string,
  viewer: Viewer,
): Promise<string | null> =>
  findObject(trx, selectCaretakerRelations(viewer).where('relation.id', '=', id))

/**
 * Returns the viewer's caretaker, their pending request for a caretaker, and a pending request for them
 * to become a caretaker: the first of each, or null.
 */
export function findCaretakerCheck(trx: Kysely<Database>, viewer: Viewer): Promise<string> {
  const { userId } = viewer
  const caretaker = selectCaretakerRelations(viewer)
    .where('relation.user_id', '=', userId)
    .where((row) => hasNotEnded(row.ref('relation.end_date')))
    .orderBy('relation.id')
    .limit(1)
  const requests = selectAdminTasks(viewer)
    .where('task.action', '=', 'setcaretaker')
    .where('task.status', '=', 'pending')
    .orderBy('task.id')
    .limit(1)
  return findJson(
    trx,
    jsonObject({
      caretaker_object: jsonObjectFrom(caretaker),
      caretaker_request_object: jsonObjectFrom(requests.where('task.primary_user_id', '=', userId)),
      become_caretaker_request_object: jsonObjectFrom(
        requests.where((row) => involves(row.ref('task.secondary_users'), userId)),
      ),
    }),
  )
}
