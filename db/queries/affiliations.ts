import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectAffiliations } from './fragments/affiliation.ts'
import { contains } from './fragments/contains.ts'
import { findArray, findObject, findPage } from './text.ts'

const AFFILIATION_PAGE_SIZE = 24

const byName = selectAffiliations().orderBy('affiliation.name').orderBy('affiliation.id')

/** Returns every affiliation, sorted by name. */
export const findAffiliations = (trx: Kysely<Database>): Promise<string> => findArray(trx, byName)

export interface AffiliationSearch {
  readonly searchTerm: string
  /** Page number, from 1. */
  readonly page: number
}

/** Returns a page of the affiliations whose name contains the term, sorted by name. */
export async function searchAffiliations(
  trx: Kysely<Database>,
  { searchTerm, page }: AffiliationSearch,
): Promise<string> {
  const found = byName.where((row) => contains(row.ref('affiliation.name'), searchTerm))
  const pageSize = AFFILIATION_PAGE_SIZE
  return (await findPage(trx, 'affiliations', found, { page, pageSize })).body
}

/** Returns one affiliation, or null. */
export const findAffiliation = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectAffiliations().where('affiliation.id', '=', id))
