import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'

/** Selects every branch in the shape of lists; callers add conditions. */
export const selectBranches = () =>
  expressionBuilder<Database>()
    .selectFrom('agencies_branch as branch')
    .select([
      'branch.id',
      'branch.name',
      'branch.agency_id as agency',
      'branch.manager_id as manager',
    ])

/** Returns the branch with this id, or null. */
export const branch = (id: Expression<string | null>) =>
  jsonObjectFrom(selectBranches().where('branch.id', '=', id))
