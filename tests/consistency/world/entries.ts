import { versionsIn } from './versions.ts'

/** A row as `to_jsonb` returns it, as stored in `checker.history`. */
export type Row = Readonly<Record<string, unknown>>

/** Table and id of a row, such as `users_keywordtag 3`. */
export type RowName = string

export const rowName = (table: string, id: unknown): RowName => `${table} ${String(id)}`

/** A table whose rows determine which rows an entry shows. */
export interface Shown {
  readonly table: string
  readonly rows: (row: Row) => readonly RowName[]
}

/** A cached answer. */
export interface Entry {
  /** Relative to `/api/v1`. */
  readonly path: string
  /** The resource whose watermark applies to the entry. */
  readonly resource: string
  /** Whether a session is required. */
  readonly isPrivate: boolean
  /** Rows whose presence and absence is checked. Versions are checked in every answer. */
  readonly shows: readonly Shown[]
}

const PROFILES = [1, 2, 3, 4, 5, 6]
const PROJECTS = [1, 2, 3, 4, 5, 6]
const USERS = [1, 2, 3, 4, 5, 6, 7, 8]

/** All resources that have a watermark. */
export const RESOURCES = [
  'staff:list',
  'staff:profile',
  'staff:projects',
  'user:projects',
  'user:profile',
  'user:me',
  'user:list',
  'user:tasks',
  'project:detail',
  'project:stats',
  'agency:branches',
  'agency:business_areas',
  'agency:affiliations',
  'location:areas',
  'user:access',
  'user:by_email',
] as const

const where =
  (column: string, value: number, ...shown: readonly (readonly [string, string])[]) =>
  (row: Row) =>
    row[column] === value ? shown.map(([table, id]) => rowName(table, row[id])) : []

/** Returns the rows that an entry of a user shows because of a membership. */
const memberships =
  (user: number) =>
  (row: Row): readonly RowName[] => {
    if (row.user_id !== user) return []
    // The leader of a new project has a role that contains no version. That row cannot be checked.
    const own = versionsIn(String(row.role)).length > 0
    return [
      ...(own ? [rowName('projects_projectmember', row.id)] : []),
      rowName('projects_project', row.project_id),
    ]
  }

const all =
  (...shown: readonly (readonly [string, string])[]) =>
  (row: Row) =>
    shown.map(([table, id]) => rowName(table, row[id]))

/** Returns the tables that determine which rows an entry of a user shows to that user and superusers. */
const ofUser = (id: number): readonly Shown[] => [
  ...['users_userprofile', 'contacts_usercontact'].map((table) => ({
    table,
    rows: where('user_id', id, [table, 'id']),
  })),
  { table: 'users_user', rows: where('id', id, ['users_user', 'id']) },
  {
    table: 'users_userwork',
    rows: where(
      'user_id',
      id,
      ['users_userwork', 'id'],
      ['agencies_branch', 'branch_id'],
      ['agencies_businessarea', 'business_area_id'],
      ['agencies_affiliation', 'affiliation_id'],
    ),
  },
]

const list = (path: string, resource: string, table: string): Entry => ({
  path,
  resource,
  isPrivate: true,
  shows: [{ table, rows: all([table, 'id']) }],
})

/** All entries that readers request. */
export const ENTRIES: readonly Entry[] = [
  ...PROFILES.flatMap((id): Entry[] => [
    {
      path: `users/staffprofiles/${id}/overview`,
      resource: 'staff:profile',
      isPrivate: false,
      shows: [
        {
          table: 'users_publicstaffprofile',
          rows: where('id', id, ['users_publicstaffprofile', 'id']),
        },
        {
          table: 'users_publicstaffprofile_keyword_tags',
          rows: where('publicstaffprofile_id', id, ['users_keywordtag', 'keywordtag_id']),
        },
      ],
    },
    {
      path: `users/staffprofiles/${id}/hero`,
      resource: 'staff:profile',
      isPrivate: false,
      shows: [
        {
          table: 'users_publicstaffprofile',
          rows: where('id', id, ['users_user', 'user_id'], ['users_userwork', 'user_id']),
        },
      ],
    },
    {
      path: `users/staffprofiles/${id}/cv`,
      resource: 'staff:profile',
      isPrivate: false,
      shows: ['users_employmententry', 'users_educationentry'].map((table) => ({
        table,
        rows: where('public_profile_id', id, [table, 'id']),
      })),
    },
  ]),
  {
    path: 'users/staffprofiles',
    resource: 'staff:list',
    isPrivate: false,
    shows: [
      {
        table: 'users_publicstaffprofile',
        rows: all(['users_publicstaffprofile', 'id'], ['users_user', 'user_id']),
      },
    ],
  },
  ...PROJECTS.map((id): Entry => ({
    path: `projects/${id}`,
    resource: 'project:detail',
    isPrivate: true,
    shows: [
      { table: 'projects_project', rows: where('id', id, ['projects_project', 'id']) },
      {
        table: 'projects_projectmember',
        rows: where(
          'project_id',
          id,
          ['projects_projectmember', 'id'],
          ['users_user', 'user_id'],
          ['users_userprofile', 'user_id'],
        ),
      },
      {
        table: 'projects_projectarea',
        rows: (row) =>
          row.project_id === id
            ? (row.areas as number[]).map((area) => rowName('locations_area', area))
            : [],
      },
    ],
  })),
  ...USERS.flatMap((id): Entry[] => [
    {
      path: `users/${id}/projects`,
      resource: 'user:projects',
      isPrivate: true,
      shows: [
        {
          table: 'projects_projectmember',
          rows: memberships(id),
        },
      ],
    },
    // A user without a visible profile has no such page, so presence of rows is not checked.
    {
      path: `users/${id}/projects_staff_profile`,
      resource: 'staff:projects',
      isPrivate: false,
      shows: [],
    },
    { path: `users/${id}`, resource: 'user:profile', isPrivate: true, shows: ofUser(id) },
  ]),
  { path: 'users/me', resource: 'user:me', isPrivate: true, shows: ofUser(1) },
  {
    path: 'projects/mine',
    resource: 'user:projects',
    isPrivate: true,
    shows: [
      {
        table: 'projects_projectmember',
        rows: memberships(1),
      },
    ],
  },
  {
    path: 'users/list?page=1&only_staff=true',
    resource: 'user:list',
    isPrivate: true,
    // Which users it lists depends on rights, which the writers also change. Versions are checked.
    shows: [],
  },
  // They show names of projects and users. Versions are checked.
  ...['documents/projectdocuments/pendingmyaction', 'adminoptions/tasks'].map((path): Entry => ({
    path,
    resource: 'user:tasks',
    isPrivate: true,
    shows: [],
  })),
  { path: 'projects/statistics', resource: 'project:stats', isPrivate: true, shows: [] },
  list('agencies/branches', 'agency:branches', 'agencies_branch'),
  list('agencies/business_areas', 'agency:business_areas', 'agencies_businessarea'),
  list('agencies/affiliations', 'agency:affiliations', 'agencies_affiliation'),
  list('locations/list', 'location:areas', 'locations_area'),
]
