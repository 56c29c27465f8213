import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectBranches } from './fragments/branch.ts'
import { contains } from './fragments/contains.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject, findPage } from './text.ts'

const BRANCH_PAGE_SIZE = 24

const byName = selectBranches().orderBy('branch.name').orderBy('branch.id')

/** Returns every branch, sorted by name. */
export const findBranches = (trx: Kysely<Database>): Promise<string> => findArray(trx, byName)

export interface BranchSearch {
  readonly searchTerm: string
  /** Page number, from 1. */
  readonly page: number
}

/** Returns a page of the branches whose name contains the term, sorted by name. */
export async function searchBranches(
  trx: Kysely<Database>,
  { searchTerm, page }: BranchSearch,
): Promise<string> {
  const found = byName.where((row) => contains(row.ref('branch.name'), searchTerm))
  return (await findPage(trx, 'branches', found, { page, pageSize: BRANCH_PAGE_SIZE })).body
}

/** Returns one branch in the shape of the list, or null. */
export const findTinyBranch = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectBranches().where('branch.id', '=', id))

/** Returns one branch with its creation and update times, or null. */
export const findBranch = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('agencies_branch as branch')
      .select((row) => [
        'branch.id',
        perthTime(row.ref('branch.created_at')).as('created_at'),
        perthTime(row.ref('branch.updated_at')).as('updated_at'),
        'branch.name',
        'branch.agency_id as agency',
        'branch.manager_id as manager',
      ])
      .where('branch.id', '=', id),
  )
