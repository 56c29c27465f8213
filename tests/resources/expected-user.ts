import type { Row, Tables } from '../support/tables.ts'
import { expectedCare } from './expected-care.ts'
import { type createExpected, pick, time, url, type Value } from './expected.ts'

/** The tables that `createExpectedUser` joins, in addition to those of `createExpected`. */
export const EXPECTED_USER_TABLES = [
  'agencies_affiliation',
  'agencies_agency',
  'caretakers_caretaker',
  'contacts_usercontact',
  'medias_agencyimage',
  'users_user_groups',
  'users_user_user_permissions',
  'users_userprofile',
] as const

/** Computes the expected answers about users by joining whole tables in memory. */
export function createExpectedUser(
  { all, one, every }: Tables,
  { businessAreaOf }: Pick<ReturnType<typeof createExpected>, 'businessAreaOf'>,
) {
  const imageOf = (userId: Value) =>
    url(one('medias_useravatar', 'user_id', userId)?.['file'] ?? null)

  const branchOf = (work: Row) => {
    const branch = one('agencies_branch', 'id', work['branch_id'])
    return branch
      ? {
          ...pick(branch, 'id', 'name'),
          agency: branch['agency_id'],
          manager: branch['manager_id'],
        }
      : null
  }

  const affiliationOf = (work: Row) => {
    const affiliation = one('agencies_affiliation', 'id', work['affiliation_id'])
    return affiliation
      ? {
          ...pick(affiliation, 'id', 'name'),
          created_at: time(affiliation['created_at']),
          updated_at: time(affiliation['updated_at']),
        }
      : null
  }

  const agencyOf = (work: Row) => {
    const agency = one('agencies_agency', 'id', work['agency_id'])
    if (!agency) return null
    const image = one('medias_agencyimage', 'agency_id', agency['id'])
    return {
      ...pick(agency, 'id', 'name', 'is_active'),
      key_stakeholder: agency['key_stakeholder_id'],
      image: image ? { id: image['id'], file: url(image['file']) } : null,
    }
  }

  const ledBy = (userId: Value) =>
    all('agencies_businessarea', 'leader_id', userId).map((area) => {
      const division = one('agencies_division', 'id', area['division_id'])
      return {
        ...pick(area, 'id', 'name'),
        leader: { id: userId },
        caretaker: area['caretaker_id'] === null ? null : { id: area['caretaker_id'] },
        image: url(one('medias_businessareaphoto', 'business_area_id', area['id'])?.['file']),
        project_count: all('projects_project', 'business_area_id', area['id']).length,
        division: division ? pick(division, 'id', 'name', 'slug') : null,
      }
    })

  const shown = (user: Row, view: 'full' | 'private') => {
    const { id, password: _, last_login: __, old_pk: ___, date_joined, ...columns } = user
    const work = one('users_userwork', 'user_id', id)
    const profile = one('users_publicstaffprofile', 'user_id', id)
    const isShown = view === 'private' || (profile?.['is_hidden'] === false && user['is_active'])
    return {
      ...columns,
      id,
      date_joined: time(date_joined),
      image: imageOf(id),
      role: work?.['role'] ?? null,
      branch: work ? branchOf(work) : null,
      business_area: work ? businessAreaOf(work, 'user') : null,
      affiliation: work ? affiliationOf(work) : null,
      business_areas_led: ledBy(id),
      ...expectedCare(every('caretakers_caretaker'), id, (of) => ({
        ...pick(
          one('users_user', 'id', of) ?? {},
          'display_first_name',
          'display_last_name',
          'is_superuser',
          'email',
        ),
        image: imageOf(of),
      })),
      about: (isShown && profile?.['about']) || '',
      expertise: (isShown && profile?.['expertise']) || '',
      ...(view === 'private' && personalInformationOf(id)),
    }
  }

  const personalInformationOf = (userId: Value) => {
    const contact = one('contacts_usercontact', 'user_id', userId)
    return {
      title: one('users_userprofile', 'user_id', userId)?.['title'] ?? '',
      phone: contact?.['phone'] ?? '',
      fax: contact?.['fax'] ?? '',
    }
  }

  const idsHeld = (
    table: 'users_user_groups' | 'users_user_user_permissions',
    userId: Value,
    column: string,
  ) => all(table, 'user_id', userId).map((held) => held[column])

  return {
    user: (user: Row, view: 'full' | 'private') => ({
      ...shown(user, view),
      old_pk: user['old_pk'],
      groups: idsHeld('users_user_groups', user['id'], 'group_id').toSorted(byNumber),
      user_permissions: idsHeld(
        'users_user_user_permissions',
        user['id'],
        'permission_id',
      ).toSorted(byNumber),
    }),

    me: (user: Row) => {
      const work = one('users_userwork', 'user_id', user['id'])
      const profile = one('users_publicstaffprofile', 'user_id', user['id'])
      return {
        ...shown(user, 'private'),
        staff_profile_id: profile?.['id'] ?? null,
        staff_profile_hidden: profile?.['is_hidden'] ?? false,
        public_email: profile?.['public_email'] ?? '',
        public_email_on: profile?.['public_email_on'] ?? false,
        custom_title: profile?.['custom_title'] ?? '',
        custom_title_on: profile?.['custom_title_on'] ?? false,
        agency: work ? agencyOf(work) : null,
      }
    },
  }
}

const byNumber = (a: Value, b: Value) => Number(a) - Number(b)
