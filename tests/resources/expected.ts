import type { Row, Tables } from '../support/tables.ts'

/** The value of a column; undefined if there is no row. */
export type Value = Row[string] | undefined
type Audience = 'anyone' | 'user'

/** The tables that `createExpected` joins. */
export const EXPECTED_TABLES = [
  'agencies_affiliation',
  'agencies_branch',
  'agencies_businessarea',
  'agencies_division',
  'agencies_division_directorate_email_list',
  'locations_area',
  'medias_businessareaphoto',
  'medias_projectphoto',
  'medias_useravatar',
  'projects_externalprojectdetails',
  'projects_project',
  'projects_projectmember',
  'users_educationentry',
  'users_employmententry',
  'users_keywordtag',
  'users_publicstaffprofile',
  'users_publicstaffprofile_keyword_tags',
  'users_user',
  'users_userwork',
] as const

const PREFIXES = new Map<Value, string>([
  ['core_function', 'CF'],
  ['science', 'SP'],
  ['student', 'STP'],
  ['external', 'EXT'],
])

/** Computes expected answers by joining whole tables in memory, independently of the loaders. */
export function createExpected({ all, one, every }: Tables) {
  const emailList = (divisionId: Value) =>
    all('agencies_division_directorate_email_list', 'division_id', divisionId).map((listed) => {
      const user = one('users_user', 'id', listed['user_id'])
      const [first, last] = [user?.['display_first_name'], user?.['display_last_name']]
      return {
        id: listed['user_id'],
        email: user?.['email'],
        name: `${text(first ?? 'None')} ${text(last ?? 'None')}`,
      }
    })

  const division = (id: Value, audience: Audience) => {
    const found = one('agencies_division', 'id', id)
    return found
      ? {
          ...pick(found, 'id', 'name', 'slug'),
          director: found['director_id'],
          approver: found['approver_id'],
          directorate_email_list: audience === 'user' ? emailList(id) : [],
        }
      : null
  }

  const businessArea = (area: Row, audience: Audience) => {
    const image = one('medias_businessareaphoto', 'business_area_id', area['id'])
    return {
      ...pick(area, 'id', 'name', 'slug', 'focus', 'introduction', 'is_active'),
      division: division(area['division_id'], audience),
      image: image ? { id: image['id'], file: url(image['file']) } : null,
      leader: area['leader_id'],
      caretaker: area['caretaker_id'],
      finance_admin: area['finance_admin_id'],
      data_custodian: area['data_custodian_id'],
    }
  }

  const businessAreaOf = (project: Row, audience: Audience) => {
    const area = one('agencies_businessarea', 'id', project['business_area_id'])
    return area ? businessArea(area, audience) : null
  }

  const tinyPhoto = (project: Row, photo: Row) => {
    const uploader = one('users_user', 'id', photo['uploader_id'])
    return {
      id: photo['id'],
      file: url(photo['file']),
      project: pick(project, 'id', 'title'),
      uploader: uploader ? pick(uploader, 'id', 'username') : null,
    }
  }

  const fullPhoto = (project: Row, photo: Row) => ({
    ...tinyPhoto(project, photo),
    created_at: time(photo['created_at']),
    updated_at: time(photo['updated_at']),
    size: photo['size'],
  })

  const tinyPhotoOf = (project: Row) => {
    const photo = one('medias_projectphoto', 'project_id', project['id'])
    return photo ? tinyPhoto(project, photo) : null
  }

  const photoOf = (project: Row, audience: Audience) => {
    const photo = one('medias_projectphoto', 'project_id', project['id'])
    if (!photo) return null
    const shown = fullPhoto(project, photo)
    return audience === 'user' ? shown : { ...shown, uploader: null }
  }

  const memberships = (userId: Value) =>
    all('projects_projectmember', 'user_id', userId)
      .flatMap((member) => {
        const project = one('projects_project', 'id', member['project_id'])
        return project ? { member, project } : []
      })
      .toSorted(({ project: a }, { project: b }) => compare(b, a, 'year') || compare(a, b, 'id'))

  const description = (project: Row) => {
    if (project['kind'] !== 'external') return project['description']
    const external = one('projects_externalprojectdetails', 'project_id', project['id'])
    return external ? external['description'] : ''
  }

  const tagOf = ({ kind = null, year, number }: Row) =>
    `${PREFIXES.get(kind) ?? 'UNKNOWN'}-${text(year ?? null)}-${text(number ?? null)}`

  const projectRow =
    (audience: Audience) =>
    ({ project, member }: { readonly project: Row; readonly member: Row }) => ({
      ...pick(project, 'id', 'title', 'kind', 'status'),
      role: member['role'],
      tag: tagOf(project),
      image: photoOf(project, audience),
      created_at: time(project['created_at']),
      business_area: businessAreaOf(project, audience),
      description: description(project),
      start_date: year(project['start_date']),
      end_date: year(project['end_date']),
    })

  const person = (profile: Row) => {
    const user = one('users_user', 'id', profile['user_id'])
    return {
      id: profile['user_id'],
      first_name: user?.['display_first_name'],
      last_name: user?.['display_last_name'],
      email: (profile['public_email_on'] === true && profile['public_email']) || null,
    }
  }

  const areaOf = (work: Row | undefined) => {
    const area = one('agencies_businessarea', 'id', work?.['business_area_id'])
    return area ? pick(area, 'id', 'name') : null
  }

  const workOf = (profile: Row) => {
    const work = one('users_userwork', 'user_id', profile['user_id'])
    const title = profile['custom_title_on'] === true && profile['custom_title']
    return work
      ? { id: work['id'], role: title || work['role'], business_area: areaOf(work) }
      : null
  }

  const avatarOf = (profile: Row) => one('medias_useravatar', 'user_id', profile['user_id'])

  const entries = (
    table: 'users_employmententry' | 'users_educationentry',
    profile: Row,
    column: string,
  ) =>
    all(table, 'public_profile_id', profile['id'])
      .toSorted((a, b) => compare(b, a, column) || end(b) - end(a) || compare(a, b, 'id'))
      .map(({ public_profile_id, ...entry }) => ({ ...entry, public_profile: public_profile_id }))

  const hero = (profile: Row) => {
    const avatar = avatarOf(profile)
    return {
      id: profile['id'],
      user: person(profile),
      avatar: avatar
        ? { id: avatar['id'], file: url(avatar['file']), user: { id: profile['user_id'] } }
        : null,
      work: workOf(profile),
      about: profile['about'],
    }
  }

  const overview = (profile: Row) => ({
    id: profile['id'],
    expertise: profile['expertise'],
    keywords: all('users_publicstaffprofile_keyword_tags', 'publicstaffprofile_id', profile['id'])
      .map((tagged) => one('users_keywordtag', 'id', tagged['keywordtag_id']))
      .toSorted((a, b) => (text(a?.['name']) < text(b?.['name']) ? -1 : 1)),
  })

  const cv = (profile: Row) => ({
    id: profile['id'],
    employment_entries: entries('users_employmententry', profile, 'start_year'),
    education_entries: entries('users_educationentry', profile, 'end_year'),
  })

  return {
    isVisible: (profile: Row) =>
      profile['is_hidden'] === false &&
      one('users_user', 'id', profile['user_id'])?.['is_active'] === true,

    isListed: (profile: Row) => one('users_user', 'id', profile['user_id'])?.['is_staff'] === true,

    worksIn: (profile: Row) =>
      one('users_userwork', 'user_id', profile['user_id'])?.['business_area_id'],

    staffRow: (profile: Row) => ({
      ...pick(profile, 'id', 'about', 'expertise'),
      user: person(profile),
      image: url(avatarOf(profile)?.['file'] ?? null),
      business_area: areaOf(one('users_userwork', 'user_id', profile['user_id'])),
      is_hidden: false,
    }),

    hero,
    overview,
    cv,
    full: (profile: Row) => ({
      ...hero(profile),
      ...overview(profile),
      ...cv(profile),
      is_hidden: false,
      custom_title: null,
      custom_title_on: false,
      public_email: null,
      public_email_on: false,
    }),

    publicProjectRows: (userId: Value) =>
      memberships(userId)
        .filter(({ project }) => !numbers(project['hidden_from_staff_profiles']).has(userId))
        .map(projectRow('anyone')),

    projectRows: (userId: Value) => memberships(userId).map(projectRow('user')),

    businessAreaOf,
    photoOf,

    ownProjects: (userId: Value) =>
      memberships(userId).map(({ project, member }) => ({
        role: member['role'],
        tag: tagOf(project),
        created_at: time(project['created_at']),
        ...pick(project, 'id', 'title', 'status', 'kind', 'year', 'number'),
        business_area: businessAreaOf(project, 'user'),
        image: tinyPhotoOf(project),
      })),

    branches: () =>
      every('agencies_branch').map((branch) => ({
        ...pick(branch, 'id', 'name'),
        agency: branch['agency_id'],
        manager: branch['manager_id'],
      })),

    affiliations: () =>
      every('agencies_affiliation').map((affiliation) => ({
        ...pick(affiliation, 'id', 'name'),
        created_at: time(affiliation['created_at']),
        updated_at: time(affiliation['updated_at']),
      })),

    areas: () => every('locations_area').map((area) => pick(area, 'id', 'name', 'area_type')),

    businessAreas: () => every('agencies_businessarea').map((area) => businessArea(area, 'user')),
  }
}

/** Returns the given columns of a row. */
export const pick = (row: Row, ...columns: string[]) =>
  Object.fromEntries(columns.map((column) => [column, row[column]]))

const text = (value: Value) => String(value)

/** Compares two rows by the number in a column. */
export const compare = (a: Row, b: Row, column: string) => Number(a[column]) - Number(b[column])

// Entries without an end sort as the latest. Infinity would not do: Infinity - Infinity is NaN.
const end = (row: Row) => Number(row['end_year'] ?? 9999)

/** Returns the URL path of a stored file. */
export const url = (path: Value) => (path ? `/files/${text(path)}` : null)

const year = (date: Value) => (typeof date === 'string' ? Number(date.slice(0, 4)) : null)

/** Formats an instant as answers do. Postgres omits trailing zeros of a fraction. */
export const time = (instant: Value) =>
  text(instant).replace(/\.\d+/, (fraction) => fraction.padEnd('.000000'.length, '0'))

/** Returns the numbers of an array, in its order. */
export const numbers = (value: Value): ReadonlySet<Value> =>
  new Set(Array.isArray(value) ? value : [])
