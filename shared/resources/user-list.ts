import { searchUsers, type UserFilter, USERS_PAGE_SIZE } from '../../db/queries/user-search.ts'
import type { PageOptions } from '../../db/queries/text.ts'
import { defineResource } from '../cache/index.ts'
import { everyBusinessAreaRules } from './business-area-rules.ts'
import { byVariant, type Find } from './load.ts'

/** The filters whose first pages are cached: those with which pages of the front end start. */
const FILTERS: readonly UserFilter[] = [
  {},
  { isStaff: true },
  { isStaff: false },
  { isSuperuser: true },
  { onlyLeaders: true },
]

/** Pages of each filter. One entry has room for those of all filters, so none evicts another one. */
const CACHED_PAGES = 8

/** Returns the variant of a page: its conditions, such as `isStaff=true&page=1&pageSize=24`. */
export function userListVariant(filter: UserFilter, options: PageOptions): string {
  const conditions = Object.entries({ ...filter, ...options })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, string] => [name, String(value)])
  return new URLSearchParams(conditions).toString()
}

const loaders = new Map<string, Find>(
  FILTERS.flatMap((filter) =>
    Array.from({ length: CACHED_PAGES }, (_, index) => {
      const options = { page: index + 1, pageSize: USERS_PAGE_SIZE }
      return [
        userListVariant(filter, options),
        async (trx) => (await searchUsers(trx, filter, options)).body,
      ]
    }),
  ),
)

/** Variants of all pages that are cached. */
export const userListVariants: ReadonlySet<string> = new Set(loaders.keys())

/** The first pages of users, for some filters. Other searches are not stored. */
export const userList = defineResource({
  name: 'user:list',
  version: 1,
  key: 'user:list',
  ttlMs: 10 * 60_000,
  staleIfError: true,
  load: byVariant(Object.fromEntries(loaders)),
  staleWhen: [
    {
      table: 'users_user',
      watch: [
        'username',
        'email',
        'display_first_name',
        'display_last_name',
        'first_name',
        'last_name',
        'is_superuser',
        'is_staff',
        'is_active',
      ],
      key: {},
    },
    { table: 'medias_useravatar', watch: ['user_id', 'file'], key: {} },
    {
      table: 'users_userwork',
      watch: ['user_id', 'role', 'branch_id', 'business_area_id', 'affiliation_id'],
      key: {},
    },
    { table: 'agencies_branch', watch: ['name', 'agency_id', 'manager_id'], key: {} },
    { table: 'agencies_affiliation', watch: ['name', 'created_at', 'updated_at'], key: {} },
    // Leaders are shown with the number of projects of their business areas.
    { table: 'projects_project', watch: ['business_area_id'], key: {} },
    ...everyBusinessAreaRules,
  ],
})
