import { Router } from 'express'
import { z } from 'zod'
import { findFirstUsers, searchUsers, type UserFilter } from '../../db/queries/user-search.ts'
import { userPage } from '../../shared/shapes/search.ts'
import { tinyUser } from '../../shared/shapes/tiny-user.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { reference } from './field.ts'
import { orAll, page, pageSize, parameter, references, searchTerm, yesOrNo } from './parameter.ts'
import { parseQuery } from './parse-query.ts'
import { queryAs } from './query-as.ts'

const PAGE_SIZE = 24
const FIRST = 10
const SHORTEST_SEARCH = 2

/** Searches in all users. */
export function userSearchRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/users/list')
    .get(listsUsers, async (req, res) => {
      const { page: number, page_size, ...filter } = await parseQuery(deps, req, listQuery)
      const wanted = { page: number, pageSize: page_size }
      const found = await queryAs(
        deps,
        req,
        (trx) => searchUsers(trx, filterOf(filter), wanted),
        'search',
      )
      sendPrivate(res, found.body, 'search')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/users/smallsearch')
    .get(findsFirst, async (req, res) => {
      const { search = '' } = await parseQuery(deps, req, smallQuery)
      const found = await queryAs(
        deps,
        req,
        async (trx) =>
          search.length < SHORTEST_SEARCH ? '[]' : findFirstUsers(trx, { search }, FIRST),
        'search',
      )
      sendPrivate(res, found, 'search')
    })
    .all(methodNotAllowed('GET'))

  return router
}

const smallQuery = z.object({ search: searchTerm })

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
  page_size: pageSize(PAGE_SIZE),
})

type Sent = Omit<z.output<typeof listQuery>, 'page' | 'page_size'>

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
    onlyLeaders: sent.only_ba_lead,
    businessArea: sent.business_area ?? sent.businessArea,
    except: sent.ignoreArray,
  }
}

const listsUsers = operation({
  summary: 'List a page of the users that match',
  who: 'users',
  query: listQuery,
  answers: { 200: userPage },
})

const findsFirst = operation({
  summary: `List the first ${FIRST} users that match a text of at least ${SHORTEST_SEARCH} characters`,
  who: 'users',
  query: smallQuery,
  answers: { 200: z.array(tinyUser) },
})
