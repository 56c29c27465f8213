import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { involves, selectAdminTasks } from './fragments/admin-task.ts'
import type { Viewer } from './fragments/viewer.ts'
import { findArray, findObject } from './text.ts'

const pending = (viewer: Viewer) => selectAdminTasks(viewer).where('task.status', '=', 'pending')

const pendingCaretakers = (viewer: Viewer) =>
  pending(viewer)
    .where('task.action', '=', 'setcaretaker')
    .orderBy('task.created_at', 'desc')
    .orderBy('task.id', 'desc')

/** The requests that wait for a decision, the oldest first. */
export const findPendingTasks = (trx: Kysely<Database>, viewer: Viewer): Promise<string> =>
  findArray(trx, pending(viewer).orderBy('task.id'))

/**
 * The same without requests for a caretaker whose time is over: nobody need decide those. Reading
 * does not cancel them, for a read that writes would be repeated by whatever repeats reads.
 */
export const findOpenTasks = (trx: Kysely<Database>, viewer: Viewer): Promise<string> =>
  findArray(
    trx,
    pending(viewer)
      .where((row) =>
        row.or([
          row('task.action', '!=', 'setcaretaker'),
          row('task.end_date', 'is', null),
          row('task.end_date', '>=', sql<Date>`now()`),
        ]),
      )
      .orderBy('task.id'),
  )

/** One request, or null where there is none that the viewer may read. */
export const findTask = (
  trx: Kysely<Database>,
  id: string,
  viewer: Viewer,
): Promise<string | null> => findObject(trx, selectAdminTasks(viewer).where('task.id', '=', id))

/** The pending requests that a user become another's caretaker, the newest first. */
export const findCaretakerRequests = (
  trx: Kysely<Database>,
  userId: string,
  viewer: Viewer,
): Promise<string> =>
  findArray(
    trx,
    pendingCaretakers(viewer)
      .where((row) => involves(row.ref('task.secondary_users'), userId))
      // Without it the other is gone.
      .where('task.primary_user_id', 'is not', null),
  )

/** The pending requests that a user made for a caretaker, the newest first. */
export const findOutgoingCaretakerRequests = (
  trx: Kysely<Database>,
  userId: string,
  viewer: Viewer,
): Promise<string> =>
  findArray(trx, pendingCaretakers(viewer).where('task.requester_id', '=', userId))
