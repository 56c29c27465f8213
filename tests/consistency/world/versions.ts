/** A version is `v` and seven digits. Versions below 1,000,000 come from `world.sql`. */
const VERSION = /\bv\d{7}\b/g

/** Returns the distinct versions in a text. */
export const versionsIn = (text: string): readonly string[] => [
  ...new Set(text.match(VERSION) ?? []),
]

export const formatVersion = (n: number): string => `v${String(n).padStart(7, '0')}`

/** The column of each table that holds the version of a row. */
export const VERSION_COLUMN = {
  users_user: 'display_first_name',
  users_userwork: 'role',
  users_userprofile: 'title',
  contacts_usercontact: 'phone',
  users_publicstaffprofile: 'expertise',
  users_keywordtag: 'name',
  users_employmententry: 'position_title',
  users_educationentry: 'qualification_name',
  projects_project: 'title',
  projects_projectmember: 'role',
  locations_area: 'name',
  agencies_branch: 'name',
  agencies_businessarea: 'name',
  agencies_affiliation: 'name',
} as const

export type VersionedTable = keyof typeof VERSION_COLUMN
