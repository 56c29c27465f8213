import { z } from 'zod'
import { findAffiliation, searchAffiliations } from '../../db/queries/affiliations.ts'
import {
  deleteAffiliation,
  deleteOrphanedAffiliations,
  insertAffiliation,
  mergeAffiliations,
  renameAffiliation,
} from '../../db/writes/affiliation.ts'
import { affiliations } from '../../shared/resources/index.ts'
import { affiliation, affiliationPage } from '../../shared/shapes/affiliation.ts'
import { activeUser, type Endpoint, getCached, post, superuser, user } from '../endpoints/index.ts'
import { listOf, reference, text } from './field.ts'
import { page, searchTerm } from './parameter.ts'
import { superuserRows } from './superuser-rows.ts'

/** Maximum number of names of deleted affiliations in the response. */
const MAX_NAMES = 10
const MAX_MERGED = 20

const newAffiliation = z.object({ name: text(250).min(1) })

const named = z.object({ pk: reference })
const merge = z
  .object({ primaryAffiliation: named, secondaryAffiliations: listOf(named, MAX_MERGED) })
  .transform(({ primaryAffiliation, secondaryAffiliations }) => ({
    primaryId: primaryAffiliation.pk,
    secondaryIds: secondaryAffiliations.map(({ pk }) => pk),
  }))

/** Affiliations: the organisations of users. */
export const affiliationEndpoints: readonly Endpoint[] = [
  getCached('/agencies/affiliations', {
    summary: 'List all affiliations, or a page of search results',
    access: user,
    query: z.object({ searchTerm, page }),
    answers: { 200: z.union([z.array(affiliation), affiliationPage]) },
    resource: affiliations,
    variant: 'all',
    search: ({ searchTerm, page }) =>
      searchTerm === undefined ? null : (trx) => searchAffiliations(trx, { searchTerm, page }),
  }),
  ...superuserRows('/agencies/affiliations', {
    table: 'agencies_affiliation',
    entity: 'Affiliation',
    summaries: {
      post: 'Add an affiliation',
      get: 'Get an affiliation',
      put: 'Rename an affiliation, also in the lists of projects',
      delete: 'Delete an affiliation',
    },
    shape: affiliation,
    // Clients request 0 for a user without an affiliation, and expect an empty body.
    find: async (trx, id) => (id === '0' ? '' : findAffiliation(trx, id)),
    isEmpty: 'for the id 0, which stands for no affiliation',
    addedBy: activeUser,
    added: newAffiliation,
    patch: newAffiliation.partial(),
    insert: (trx, { name }) => insertAffiliation(trx, name),
    async update(trx, id, { name }) {
      if (name !== undefined) await renameAffiliation(trx, id, name)
    },
    remove: deleteAffiliation,
  }),
  post('/agencies/affiliations/merge', {
    summary: 'Merge affiliations into one',
    access: superuser,
    body: merge,
    answers: { 200: z.strictObject({ message: z.string() }) },
    async write(trx, _, { body }) {
      await mergeAffiliations(trx, body)
      return { message: 'Merged!' }
    },
  }),
  post('/agencies/affiliations/clean_orphaned', {
    summary: 'Delete all affiliations that are not in use',
    access: superuser,
    answers: {
      200: z.strictObject({
        message: z.string(),
        deleted_count: z.int(),
        total_count: z.int(),
        deleted_names: z.array(z.string()).optional(),
      }),
    },
    async write(trx) {
      const { deleted, total } = await deleteOrphanedAffiliations(trx)
      const counts = { deleted_count: deleted.length, total_count: total }
      if (deleted.length === 0) return { message: 'No orphaned affiliations found', ...counts }
      return {
        message: `Cleaned ${deleted.length} orphaned affiliation(s)`,
        ...counts,
        deleted_names: deleted.slice(0, MAX_NAMES),
      }
    },
  }),
]
