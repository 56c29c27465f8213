import { z } from 'zod'
import {
  findFirstUsers,
  searchUsers,
  type UserFilter,
  USERS_PAGE_SIZE,
} from '../../db/queries/user-search.ts'
import { userList, userListVariant, userListVariants } from '../../shared/resources/index.ts'
import { userPage } from '../../shared/shapes/search.ts'
import { tinyUser } from '../../shared/shapes/tiny-user.ts'
import { type Endpoint, get, getCached, user } from '../endpoints/index.ts'
import { reference } from './field.ts'
import { orAll, page, pageSize, parameter, references, searchTerm, yesOrNo } from './parameter.ts'

const FIRST = 10
const SHORTEST_SEARCH = 2

const listQuery = z.object({
  search: searchTerm,
  only_staff: yesOrNo,
  only_external: yesOrNo,
  only_superuser: yesOrNo,
  only_ba_lead: yesOrNo,
  is_active: yesOrNo,
  is_staff: yesOrNo,
  is_superuser: yesOrNo,
  business_area: orAll(reference),
  businessArea: orAll(reference),
  ignoreArray: parameter(references.optional()),
  page,
  page_size: pageSize(USERS_PAGE_SIZE),
})

type Sent = z.output<typeof listQuery>

/**
 * Translates parameters to a filter. A false `only_...` does not filter: `only_staff=false` finds all
 * users.
 */
function filterOf(sent: Sent): UserFilter {
  const onlyStaff = sent.only_staff || undefined
  const onlyExternal = sent.only_external ? false : undefined
  return {
    search: sent.search,
    isActive: sent.is_active,
    isStaff: onlyStaff ?? onlyExternal ?? sent.is_staff,
    isSuperuser: sent.only_superuser || sent.is_superuser,
    onlyLeaders: sent.only_ba_lead || undefined,
    businessArea: sent.business_area ?? sent.businessArea,
    except: sent.ignoreArray,
  }
}

/** Names the wanted page as the cache does. */
const variantOf = (sent: Sent): string =>
  userListVariant(filterOf(sent), { page: sent.page, pageSize: sent.page_size })

/** Searches in all users. */
export const userSearchEndpoints: readonly Endpoint[] = [
  getCached('/users/list', {
    summary: 'List a page of the users that match',
    access: user,
    query: listQuery,
    answers: { 200: userPage },
    resource: userList,
    variant: (_params, _userId, sent) => variantOf(sent),
    search(sent) {
      if (userListVariants.has(variantOf(sent))) return null
      const { page, page_size: pageSize } = sent
      return async (trx) => (await searchUsers(trx, filterOf(sent), { page, pageSize })).body
    },
  }),
  get('/users/smallsearch', {
    summary: `List the first ${FIRST} users that match a text of at least ${SHORTEST_SEARCH} characters`,
    access: user,
    query: z.object({ search: searchTerm }),
    answers: { 200: z.array(tinyUser) },
    cost: 'search',
    read: async (trx, _, { query: { search = '' } }) =>
      search.length < SHORTEST_SEARCH ? '[]' : findFirstUsers(trx, { search }, FIRST),
  }),
]
