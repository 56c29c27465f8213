import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt } from './patch.ts'
import { WriteError } from './write-error.ts'

/** A stored picture. */
export interface Picture {
  /** A path below the media root. */
  readonly file: string
  /** In bytes. */
  readonly size: number
}

/** Replaces the avatar of a locked user, and returns the paths of the files that it had. */
export async function replaceAvatar(
  trx: Transaction<Database>,
  userId: string,
  { file, size }: Picture,
): Promise<readonly string[]> {
  const old = await lockAvatar(trx, userId)
  await trx
    .insertInto('medias_useravatar')
    .values({ user_id: userId, file, size, created_at: changedAt, updated_at: changedAt })
    // Django may insert one at the same time.
    .onConflict((conflict) =>
      conflict.column('user_id').doUpdateSet({ file, size, updated_at: changedAt }),
    )
    .execute()
  return old?.file ? [old.file] : []
}

/**
 * Deletes the avatar of a locked user, and returns the paths of the files that it had.
 * @throws WriteError `not_found` if the user has none.
 */
export async function deleteAvatar(
  trx: Transaction<Database>,
  userId: string,
): Promise<readonly string[]> {
  const old = await lockAvatar(trx, userId)
  if (!old) {
    const message = 'No avatar found'
    throw new WriteError('not_found', message, { fields: { error: message } })
  }
  // Another user's profile may refer to this picture, too.
  await trx
    .updateTable('users_userprofile')
    .set({ image_id: null })
    .where('image_id', '=', old.id)
    .execute()
  await trx.deleteFrom('medias_useravatar').where('id', '=', old.id).execute()
  return old.file ? [old.file] : []
}

const lockAvatar = (trx: Transaction<Database>, userId: string) =>
  trx
    .selectFrom('medias_useravatar')
    .select(['id', 'file'])
    .where('user_id', '=', userId)
    .forUpdate()
    .executeTakeFirst()
