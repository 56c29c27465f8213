import { type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { contains } from './fragments/contains.ts'
import { listed } from './fragments/listed.ts'
import { selectTinyUsers } from './fragments/tiny-user.ts'
import { type Page, type PageOptions, findArray, findPageById } from './text.ts'

/** Default number of users per page. */
export const USERS_PAGE_SIZE = 24

/** Conditions for users; missing ones do not apply. */
export interface UserFilter {
  /** Part of the name, user name or e-mail address. */
  readonly search?: string | undefined
  readonly isActive?: boolean | undefined
  readonly isStaff?: boolean | undefined
  readonly isSuperuser?: boolean | undefined
  /** Finds only leaders of business areas. */
  readonly onlyLeaders?: boolean | undefined
  /** Id of the user's business area. */
  readonly businessArea?: string | undefined
  /** Ids of users to exclude. */
  readonly except?: readonly string[] | undefined
}

/** Returns a page of the matching users, sorted by id. */
export const searchUsers = (
  trx: Kysely<Database>,
  filter: UserFilter,
  page: PageOptions,
): Promise<Page> =>
  findPageById(
    trx,
    'users',
    idsOf(filter),
    (ids) =>
      selectTinyUsers().innerJoin(listed(ids), 'listed.id', 'person.id').orderBy('listed.position'),
    page,
  )

/** Returns the first matching users. */
export const findFirstUsers = (
  trx: Kysely<Database>,
  filter: UserFilter,
  limit: number,
): Promise<string> =>
  findArray(
    trx,
    selectTinyUsers()
      .innerJoin(listed(sql`array(${idsOf(filter).limit(limit)})`), 'listed.id', 'person.id')
      .orderBy('listed.position'),
  )

const eb = expressionBuilder<Database>()

const allUsers = eb.selectFrom('users_user as person').select('person.id').orderBy('person.id')

function idsOf(filter: UserFilter) {
  const { search, isActive, isStaff, isSuperuser, onlyLeaders, businessArea, except } = filter
  let found = allUsers
  if (search !== undefined) found = found.where(matchesName(search))
  if (isActive !== undefined) found = found.where('person.is_active', '=', isActive)
  if (isStaff !== undefined) found = found.where('person.is_staff', '=', isStaff)
  if (isSuperuser !== undefined) found = found.where('person.is_superuser', '=', isSuperuser)
  if (onlyLeaders) {
    found = found.where(
      'person.id',
      'in',
      eb.selectFrom('agencies_businessarea as area').select('area.leader_id'),
    )
  }
  if (businessArea !== undefined) {
    found = found.where(
      'person.id',
      'in',
      eb
        .selectFrom('users_userwork as work')
        .select('work.user_id')
        .where('work.business_area_id', '=', businessArea),
    )
  }
  if (except !== undefined) {
    found = found.where(sql<boolean>`person.id <> all(${except}::bigint[])`)
  }
  return found
}

const personRow = expressionBuilder<
  Database & { readonly person: Database['users_user'] },
  'person'
>()

const NAMES = [
  personRow.ref('person.username'),
  personRow.ref('person.email'),
  personRow.ref('person.first_name'),
  personRow.ref('person.last_name'),
  sql<string>`${personRow.ref('person.first_name')} || ' ' || ${personRow.ref('person.last_name')}`,
]

const matchesName = (term: string) => personRow.or(NAMES.map((name) => contains(name, term)))
