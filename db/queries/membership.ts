import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { findObject } from './text.ts'

/** Returns a user's place of work (business area, affiliation, branch), or null. */
export const findMembership = (trx: Kysely<Database>, userId: string): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('users_userwork as work')
      .select([
        'work.role',
        'work.business_area_id as business_area',
        'work.affiliation_id as affiliation',
        'work.branch_id as branch',
      ])
      .where('work.user_id', '=', userId),
  )
