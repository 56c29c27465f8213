import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'

/** Returns the user with this id and their user name, or null. For users only. */
export const username = (id: Expression<string | null>) =>
  jsonObjectFrom(
    expressionBuilder<Database>()
      .selectFrom('users_user as named')
      .select(['named.id', 'named.username'])
      .where('named.id', '=', id),
  )
