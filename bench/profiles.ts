import { Client } from 'pg'
import { entryKey } from '../shared/cache/key.ts'
import { staffProfile } from '../shared/resources/index.ts'

/** The ids of the profiles that everybody may see. */
export async function findProfileIds(databaseUrl: string): Promise<string[]> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ id: string }>(
      `select p.id::text from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active order by p.id`,
    )
    return rows.map(({ id }) => id)
  } finally {
    await client.end()
  }
}

export const profilePath = (id: string) => `/api/v1/users/staffprofiles/${id}`

/** Where a profile stands in Redis. */
export const profileKey = (prefix: string, id: string) =>
  entryKey(prefix, staffProfile, { profile_id: id })
