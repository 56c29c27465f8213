import { STAFF_PAGE_SIZE, findStaffPage } from '../../db/queries/staff-page.ts'
import { defineResource } from '../cache/index.ts'
import type { Load } from './cache.ts'

/** A page of the staff list in its default size. */
export interface StaffListPage {
  /** Id of the business area of the staff; without it, all staff are listed. */
  readonly businessArea?: string
  /** Page number, from 1. */
  readonly page: number
}

/** Returns the variant of `staffList` that holds a page: `page=3`, `business_area=5;page=1`. */
export const staffListVariant = ({ businessArea, page }: StaffListPage): string =>
  businessArea === undefined ? `page=${page}` : `business_area=${businessArea};page=${page}`

/** Pages that hold the first 384 people. */
const RESERVED_PAGES = 16

const loadPage: Load = async (trx, _params, variant) => {
  const options = { ...parseVariant(variant), pageSize: STAFF_PAGE_SIZE }
  const { body, isEmpty } = await findStaffPage(trx, options)
  return { body, cacheable: !isEmpty }
}

/** The public staff list, in pages of the default size. Searches are not stored. */
export const staffList = defineResource({
  name: 'staff:list',
  version: 1,
  key: 'staff:list',
  ttlMs: 60 * 60_000,
  staleIfError: false,
  load: loadPage,
  // Clients can request any number of pages, and these must not evict the first ones.
  reserved: Array.from({ length: RESERVED_PAGES }, (_, n) => staffListVariant({ page: n + 1 })),
  staleWhen: [
    {
      table: 'users_publicstaffprofile',
      watch: ['user_id', 'is_hidden', 'about', 'expertise', 'public_email', 'public_email_on'],
      key: {},
    },
    {
      table: 'users_user',
      watch: ['display_first_name', 'display_last_name', 'is_active', 'is_staff'],
      key: {},
    },
    { table: 'medias_useravatar', watch: ['user_id', 'file'], key: {} },
    { table: 'users_userwork', watch: ['user_id', 'business_area_id'], key: {} },
    { table: 'agencies_businessarea', watch: ['name'], key: {} },
  ],
})

function parseVariant(variant: string): StaffListPage {
  const { businessArea, page } =
    /^(business_area=(?<businessArea>\d+);)?page=(?<page>.+)$/.exec(variant)?.groups ?? {}
  if (page === undefined) throw new Error(`no variant ${variant}`)
  return { page: Number(page), ...(businessArea !== undefined && { businessArea }) }
}
