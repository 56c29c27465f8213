import type { Row, Tables } from '../support/tables.ts'

type Value = Row[string] | undefined

/** The tables that `createExpected` joins. */
export const EXPECTED_TABLES = [
  'agencies_branch',
  'agencies_businessarea',
  'agencies_division',
  'agencies_division_directorate_email_list',
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

/** What answers must say, joined in memory from whole tables: a second opinion on the loaders. */
export function createExpected({ all, one, every }: Tables) {
  const businessArea = (id: Value, audience: 'anyone' | 'user') => {
    const area = one('agencies_businessarea', 'id', id)
    if (!area) return null
    const division = one('agencies_division', 'id', area['division_id'])
    const image = one('medias_businessareaphoto', 'business_area_id', id)
    return {
      ...pick(area, 'id', 'name', 'slug', 'focus', 'introduction', 'is_active'),
      division: division
        ? {
            ...pick(division, 'id', 'name', 'slug'),
            director: division['director_id'],
            approver: division['approver_id'],
            directorate_email_list: audience === 'user' ? emailList(division['id']) : [],
          }
        : null,
      image: image ? { id: image['id'], file: url(image['file']) } : null,
      leader: area['leader_id'],
      caretaker: area['caretaker_id'],
      finance_admin: area['finance_admin_id'],
      data_custodian: area['data_custodian_id'],
    }
  }

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

  const photo = (project: Row, audience: 'anyone' | 'user') => {
    const found = one('medias_projectphoto', 'project_id', project['id'])
    if (!found) return null
    const uploader =
      audience === 'user' ? one('users_user', 'id', found['uploader_id']) : undefined
    return {
      id: found['id'],
      file: url(found['file']),
      project: pick(project, 'id', 'title'),
      uploader: uploader ? pick(uploader, 'id', 'username') : null,
      ...(audience === 'anyone' && {
        created_at: time(found['created_at']),
        updated_at: time(found['updated_at']),
        size: found['size'],
      }),
    }
  }

  const memberships = (userId: Value) =>
    all('projects_projectmember', 'user_id', userId)
      .flatMap((member) => {
        const project = one('projects_project', 'id', member['project_id'])
        return project ? { member, project } : []
      })
      .toSorted((a, b) => by(b, a, 'year') || by(a, b, 'id'))

  const isVisible = (profile: Row) =>
    profile['is_hidden'] === false &&
    one('users_user', 'id', profile['user_id'])?.['is_active'] === true

  const person = (profile: Row) => {
    const user = one('users_user', 'id', profile['user_id'])
    return {
      id: profile['user_id'],
      first_name: user?.['display_first_name'],
      last_name: user?.['display_last_name'],
      email: profile['public_email_on'] === true ? profile['public_email'] || null : null,
    }
  }

  const work = (profile: Row) => {
    const found = one('users_userwork', 'user_id', profile['user_id'])
    const area = one('agencies_businessarea', 'id', found?.['business_area_id'])
    const title = profile['custom_title_on'] === true ? profile['custom_title'] : null
    return found
      ? {
          id: found['id'],
          role: title || found['role'],
          business_area: area ? pick(area, 'id', 'name') : null,
        }
      : null
  }

  const hero = (profile: Row) => {
    const avatar = one('medias_useravatar', 'user_id', profile['user_id'])
    return {
      id: profile['id'],
      user: person(profile),
      avatar: avatar
        ? { id: avatar['id'], file: url(avatar['file']), user: { id: profile['user_id'] } }
        : null,
      work: work(profile),
      about: profile['about'],
    }
  }

  const overview = (profile: Row) => ({
    id: profile['id'],
    expertise: profile['expertise'],
    keywords: all(
      'users_publicstaffprofile_keyword_tags',
      'publicstaffprofile_id',
      profile['id'],
    ).map((tagged) => one('users_keywordtag', 'id', tagged['keywordtag_id'])),
  })

  const cv = (profile: Row) => {
    const entries = (table: 'users_employmententry' | 'users_educationentry') =>
      all(table, 'public_profile_id', profile['id']).map(({ public_profile_id, ...entry }) => ({
        ...entry,
        public_profile: public_profile_id,
      }))
    return {
      id: profile['id'],
      employment_entries: entries('users_employmententry').toSorted(
        (a, b) =>
          by({ project: b }, { project: a }, 'start_year') ||
          Number(b['end_year'] ?? Infinity) - Number(a['end_year'] ?? Infinity),
      ),
      education_entries: entries('users_educationentry'),
    }
  }

  return {
    businessArea,
  }
}
