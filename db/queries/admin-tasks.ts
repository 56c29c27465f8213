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

/** Returns the pending admin tasks, the oldest first. */
export const findPendingTasks = (trx: Kysely<Database>, viewer: Viewer): Promise<string> =>
  findArray(trx, pending(viewer).orderBy('task.id'))

/**
 * Returns the pending admin tasks without caretaker requests whose end date has passed: they need no
 * decision. This read does not cancel them, since reads may be repeated and must not write.
 */
export const findUnexpiredPendingTasks = (trx: Kysely<Database>, viewer: Viewer): Promise<string> =>
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

/** Returns one admin task, or null if there is none that the viewer may read. */
export const findTask = (
  trx: Kysely<Database>,
  id: string,
  viewer: Viewer,
): Promise<string | null> => findObject(trx, selectAdminTasks(viewer).where('task.id', '=', id))

/** Returns the pending requests for a user to become a caretaker, the newest first. */
export const findCaretakerRequests = (
  trx: Kysely<Database>,
  userId: string,
  viewer: Viewer,
): Promise<string> =>
  findArray(
    trx,
    pendingCaretakers(viewer)
      .where((row) => involves(row.ref('task.secondary_users'), userId))
      // It is null if the user to be covered was deleted.
      .where('task.primary_user_id', 'is not', null),
  )

/** Returns the pending requests for a caretaker of a user, the newest first. */
export const findOutgoingCaretakerRequests = (
  trx: Kysely<Database>,
  userId: string,
  viewer: Viewer,
): Promise<string> =>
  findArray(trx, pendingCaretakers(viewer).where('task.primary_user_id', '=', userId))
