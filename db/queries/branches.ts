import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectBranches } from './fragments/branch.ts'
import { contains } from './fragments/contains.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject, findPage } from './text.ts'

const BRANCH_PAGE_SIZE = 24

const byName = selectBranches().orderBy('branch.name').orderBy('branch.id')

/** Every branch, by name. */
export const findBranches = (trx: Kysely<Database>): Promise<string> => findArray(trx, byName)

export interface BranchSearch {
  readonly searchTerm: string
  /** From 1. */
  readonly page: number
}

/** A page of the branches whose name holds the term, by name. */
export async function searchBranches(
  trx: Kysely<Database>,
  { searchTerm, page }: BranchSearch,
): Promise<string> {
  const found = byName.where((row) => contains(row.ref('branch.name'), searchTerm))
  return (await findPage(trx, 'branches', found, { page, pageSize: BRANCH_PAGE_SIZE })).body
}

/** One branch as it stands in the list of branches. */
export const findTinyBranch = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectBranches().where('branch.id', '=', id))

/** One branch with the times of its creation and last change. */
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
