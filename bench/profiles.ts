import { Client } from 'pg'
import { entryKey } from '../shared/cache/index.ts'
import { staffProfile } from '../shared/resources/index.ts'

/** A public profile and its owner. */
export interface Profile {
  readonly id: string
  readonly userId: string
}

export async function findProfiles(databaseUrl: string): Promise<Profile[]> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<Profile>(
      `select p.id::text, p.user_id::text as "userId"
       from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active order by p.id`,
    )
    return rows
  } finally {
    await client.end()
  }
}

/** Returns the ids of the public profiles. */
export const findProfileIds = async (databaseUrl: string): Promise<string[]> =>
  (await findProfiles(databaseUrl)).map(({ id }) => id)

/** Suffixes of the path of a profile: the whole profile, and each section. */
export const PROFILE_SECTIONS = ['', '/hero', '/overview', '/cv']

export const profilePath = (id: string) => `/api/v1/users/staffprofiles/${id}`

export const projectsPath = (userId: string) => `/api/v1/users/${userId}/projects_staff_profile`

/** Returns the Redis key of a profile. */
export const profileKey = (prefix: string, id: string) =>
  entryKey(prefix, staffProfile, { profile_id: id })
