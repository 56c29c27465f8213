import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { findObject } from './text.ts'

/** Returns the texts of a user's staff profile, or null. */
export const findProfileText = (trx: Kysely<Database>, userId: string): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('users_publicstaffprofile as profile')
      .select(['profile.title', 'profile.about', 'profile.expertise'])
      .where('profile.user_id', '=', userId),
  )
