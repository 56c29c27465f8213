/** A version is `v` and seven digits, wherever it stands. Those below a million came with the world. */
const VERSION = /\bv\d{7}\b/g

/** Every version that a text shows, each once. */
export const versionsIn = (text: string): readonly string[] => [
  ...new Set(text.match(VERSION) ?? []),
]

export const formatVersion = (n: number): string => `v${String(n).padStart(7, '0')}`

/** Which column of each table holds the version of its rows. */
export const VERSION_COLUMN = {
  users_user: 'display_first_name',
  users_userwork: 'role',
  users_userprofile: 'title',
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
