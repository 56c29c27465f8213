import { z } from 'zod'
import { findAgencies, findAgency } from '../../db/queries/agencies.ts'
import { findBranch, findTinyBranch, searchBranches } from '../../db/queries/branches.ts'
import { deleteBranch, insertBranch, updateBranch } from '../../db/writes/branch.ts'
import { branches } from '../../shared/resources/index.ts'
import { agency, agencyDetail } from '../../shared/shapes/agency.ts'
import { branch, branchDetail, branchPage } from '../../shared/shapes/branch.ts'
import { type Endpoint, get, getCached, idOf, user } from '../endpoints/index.ts'
import { reference, text } from './field.ts'
import { page, searchTerm } from './parameter.ts'
import { superuserRows } from './superuser-rows.ts'

type Id = string | null | undefined

const columns = <Sent extends { agency?: Id; manager?: Id }>({
  agency,
  manager,
  ...rest
}: Sent) => ({
  ...rest,
  agency_id: agency,
  manager_id: manager,
})

const branchFields = z.object({
  name: text(140).min(1),
  agency: reference.nullish(),
  manager: reference.nullish(),
})

/** Agencies and their branches. */
export const agencyEndpoints: readonly Endpoint[] = [
  getCached('/agencies/branches', {
    summary: 'List all branches, or a page of search results',
    access: user,
    query: z.object({ searchTerm, page }),
    answers: { 200: z.union([z.array(branch), branchPage]) },
    resource: branches,
    variant: 'all',
    search: ({ searchTerm, page }) =>
      searchTerm === undefined ? null : (trx) => searchBranches(trx, { searchTerm, page }),
  }),
  ...superuserRows('/agencies/branches', {
    table: 'agencies_branch',
    entity: 'Branch',
    summaries: {
      post: 'Add a branch',
      get: 'Get a branch',
      put: 'Change a branch',
      delete: 'Delete a branch',
    },
    shape: branchDetail,
    find: findBranch,
    changed: { shape: branch, find: findTinyBranch },
    added: branchFields.transform(columns),
    patch: branchFields.partial().transform(columns),
    insert: insertBranch,
    update: updateBranch,
    remove: deleteBranch,
  }),
  get('/agencies/list', {
    summary: 'List all agencies by name',
    access: user,
    answers: { 200: z.array(agency) },
    read: findAgencies,
  }),
  get('/agencies/:id', {
    summary: 'Get an agency',
    access: user,
    params: { id: idOf('Agency') },
    answers: { 200: agencyDetail },
    read: (trx, { id }) => findAgency(trx, id),
  }),
]
