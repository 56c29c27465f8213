import type { DirectRule, LookupRule } from '../cache/index.ts'
import {
  type Ids,
  businessAreasOfDivisions,
  divisionsThatWriteTo,
  entries,
  given,
} from './lookups.ts'

interface Dependency {
  readonly table: string
  readonly watch: readonly string[]
  readonly from: readonly string[]
  /** Query for the business areas that the `from` values affect. */
  readonly areas: Ids
}

const ANYONE: readonly Dependency[] = [
  {
    table: 'agencies_businessarea',
    watch: [
      'name',
      'slug',
      'focus',
      'division_id',
      'introduction',
      'leader_id',
      'caretaker_id',
      'finance_admin_id',
      'data_custodian_id',
      'is_active',
    ],
    from: ['id'],
    areas: given,
  },
  {
    table: 'medias_businessareaphoto',
    watch: ['business_area_id', 'file'],
    from: ['business_area_id'],
    areas: given,
  },
  {
    table: 'agencies_division',
    watch: ['name', 'slug', 'director_id', 'approver_id'],
    from: ['id'],
    areas: businessAreasOfDivisions(given),
  },
]

const EMAIL_LIST: readonly Dependency[] = [
  {
    table: 'agencies_division_directorate_email_list',
    watch: ['division_id', 'user_id'],
    from: ['division_id'],
    areas: businessAreasOfDivisions(given),
  },
  {
    table: 'users_user',
    watch: ['display_first_name', 'display_last_name', 'email'],
    from: ['id'],
    areas: businessAreasOfDivisions(divisionsThatWriteTo(given)),
  },
]

/** By audience: only users see the e-mail lists of divisions. */
const DEPENDENCIES = { anyone: ANYONE, user: [...ANYONE, ...EMAIL_LIST] }

/**
 * Returns the rules of entries that embed business areas. `reach` leads from business areas to the
 * entries.
 */
export const businessAreaRules = (
  audience: keyof typeof DEPENDENCIES,
  param: string,
  reach: (areas: Ids) => Ids,
): LookupRule[] =>
  DEPENDENCIES[audience].map(({ table, watch, from, areas }) => ({
    table,
    watch,
    from,
    query: entries(param, reach(areas)),
  }))

/** Rules of the one entry that holds every business area. */
export const everyBusinessAreaRules: readonly DirectRule[] = DEPENDENCIES.user.map(
  ({ table, watch }) => ({ table, watch, key: {} }),
)
