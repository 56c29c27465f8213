/** The row that a request names, with the parameters, query and body of the request. */
export interface Target {
  /** Name in docs/access.md; empty if an operation has only one target. */
  readonly name: string
  /** Values of path parameters by name. */
  readonly params?: Readonly<Record<string, string>>
  readonly query?: string
  /** Contains the fields that decide about access, and is otherwise invalid: 400 shows that access was granted. */
  readonly body?: object
  /** SQL that is run before the requests. */
  readonly prepare?: string
}

/** Ids of `world.sql` in this folder and in `tests/routes`. */
const OWNER = '904'
const MISSING = '999'
/** Files to which rows of these worlds refer. */
const AVATAR = 'user_avatars/904.png'
const DOCUMENT = 'project_documents/57.pdf'
export const FILES = [AVATAR, DOCUMENT]

const HIDE = 'update users_publicstaffprofile set is_hidden = true where id = 961'

const rows = (param: string, existing: string): readonly Target[] => [
  { name: 'existing', params: { [param]: existing } },
  { name: 'missing', params: { [param]: MISSING } },
]

const profileParts = (param: string, existing: string): readonly Target[] => [
  { name: 'visible profile', params: { [param]: existing } },
  { name: 'hidden profile', params: { [param]: existing }, prepare: HIDE },
  { name: 'missing', params: { [param]: MISSING } },
]

const tasks: readonly Target[] = [
  { name: 'deletion', params: { id: '981' } },
  { name: 'merge', params: { id: '982' } },
  { name: 'caretaker, requested by another user', params: { id: '983' } },
  { name: 'caretaker, requested by the covered user', params: { id: '984' } },
  { name: 'missing', params: { id: MISSING } },
]

const APPROVAL = { action: 'approve' }

const caretakerTasks = tasks.filter(({ name }) => name !== 'merge')

/** Targets of path parameters. */
const BY_PATH: Readonly<Record<string, readonly Target[]>> = {
  '/adminoptions/tasks/:id': tasks,
  '/adminoptions/tasks/:id/approve': tasks,
  '/adminoptions/tasks/:id/reject': tasks,
  '/adminoptions/tasks/:id/cancel': tasks,
  '/adminoptions/tasks/:id/respond': [
    ...tasks,
    {
      name: 'caretaker, requested by another user: approval',
      params: { id: '983' },
      body: APPROVAL,
    },
    {
      name: 'caretaker, requested by the covered user: approval',
      params: { id: '984' },
      body: APPROVAL,
    },
  ],
  '/agencies/:id': rows('id', '11'),
  '/agencies/affiliations/:id': rows('id', '35'),
  '/agencies/branches/:id': rows('id', '21'),
  '/agencies/business_areas/:id': rows('id', '31'),
  '/agencies/business_areas/setactive/:id': rows('id', '31'),
  '/agencies/divisions/:id': rows('id', '271'),
  '/agencies/divisions/:id/email_list': rows('id', '271'),
  '/agencies/services/:id': rows('id', '203'),
  '/caretakers/:id': rows('id', '971'),
  '/caretakers/requests/:id/approve': caretakerTasks,
  '/caretakers/requests/:id/reject': caretakerTasks,
  '/caretakers/requests/:id/cancel': caretakerTasks,
  '/caretakers/tasks/:id': rows('id', OWNER),
  '/docs/:file': [
    { name: 'existing', params: { file: 'swagger-ui.css' } },
    { name: 'missing', params: { file: 'package.json' } },
  ],
  '/files/:path': [
    { name: 'avatar of a visible profile', params: { path: AVATAR } },
    { name: 'avatar of a hidden profile', params: { path: AVATAR }, prepare: HIDE },
    { name: 'document', params: { path: DOCUMENT } },
    { name: 'missing', params: { path: 'user_avatars/999.png' } },
  ],
  '/locations/:id': rows('id', '201'),
  '/projects/:id': rows('id', '951'),
  '/projects/:id/areas': rows('id', '951'),
  '/projects/:id/details': rows('id', '951'),
  '/projects/:id/project_docs': rows('id', '951'),
  '/projects/:id/suspend': rows('id', '951'),
  '/projects/:id/team': rows('id', '951'),
  '/projects/:id/toggle_user_profile_visibility': rows('id', '951'),
  '/projects/external_project_details/:id': rows('id', '955'),
  '/projects/project_areas/:id': rows('id', '952'),
  '/projects/project_details/:id': rows('id', '953'),
  '/projects/project_members/:project/:user': [
    { name: 'existing', params: { project: '951', user: '902' } },
    { name: 'missing', params: { project: '951', user: MISSING } },
    { name: 'missing project', params: { project: MISSING, user: '902' } },
  ],
  '/projects/project_members/:project/leader': rows('project', '951'),
  '/projects/student_project_details/:id': rows('id', '954'),
  '/users/:id': rows('id', OWNER),
  '/users/:id/admin': rows('id', OWNER),
  '/users/:id/check_staff_profile': [
    { name: 'visible profile', params: { id: '0' }, query: `user_id=${OWNER}` },
    { name: 'hidden profile', params: { id: '0' }, query: `user_id=${OWNER}`, prepare: HIDE },
    { name: 'missing', params: { id: '0' }, query: `user_id=${MISSING}` },
  ],
  '/users/:id/membership': rows('id', OWNER),
  '/users/:id/pi': rows('id', OWNER),
  '/users/:id/profile': rows('id', OWNER),
  '/users/:id/projects': rows('id', OWNER),
  '/users/:id/projects_staff_profile': rows('id', OWNER),
  '/users/:id/remove_avatar': rows('id', OWNER),
  '/users/:id/toggleactive': rows('id', OWNER),
  '/users/education_entries/:id': profileParts('id', '963'),
  '/users/employment_entries/:id': profileParts('id', '962'),
  '/users/is_staff/:id': rows('id', OWNER),
  '/users/profiles/:profileId/education_entries': profileParts('profileId', '961'),
  '/users/profiles/:profileId/employment_entries': profileParts('profileId', '961'),
  '/users/staffprofiles/:id': profileParts('id', '961'),
  '/users/staffprofiles/:id/cv': profileParts('id', '961'),
  '/users/staffprofiles/:id/hero': profileParts('id', '961'),
  '/users/staffprofiles/:id/overview': profileParts('id', '961'),
  '/users/staffprofiles/:id/toggle_visibility': profileParts('id', '961'),
}

const deletion = (project: number) => ({ action: 'deleteproject', project })

const ofProject = (wrong: object): readonly Target[] => [
  { name: 'existing project', body: { project: 951, ...wrong } },
  { name: 'missing project', body: { project: 999, ...wrong } },
  { name: 'no project', body: wrong },
]

/** Targets of bodies, in addition to those of path parameters. */
const BY_OPERATION: Readonly<Record<string, readonly Target[]>> = {
  'POST /adminoptions/tasks': [
    { name: 'any request', body: {} },
    { name: 'deletion of an existing project', body: deletion(951) },
    { name: 'deletion of a missing project', body: deletion(999) },
  ],
  'POST /caretakers/list': [
    { name: 'existing covered user', body: { user: 906 } },
    { name: 'missing covered user', body: { user: 999 } },
  ],
  'POST /caretakers/requests/create': [
    { name: 'request', body: {} },
    { name: 'immediate approval', body: { approve_immediately: true } },
  ],
  'PUT /caretakers/:id': [
    { name: 'later end', params: { id: '971' }, body: { end_date: '2999-01-01' } },
    { name: 'earlier end', params: { id: '971' }, body: { end_date: '2980-01-01' } },
  ],
  'PUT /projects/:id': [
    { name: 'deletion requested', params: { id: '951' }, body: { deletion_requested: 'x' } },
    {
      name: 'page of another member',
      params: { id: '951' },
      body: { hidden_from_staff_profiles: [902] },
    },
  ],
  'POST /projects/external_project_details': ofProject({ budget: 5 }),
  'POST /projects/project_areas': ofProject({ areas: 'x' }),
  'POST /projects/project_details': ofProject({ creator: 'x' }),
  'POST /projects/student_project_details': ofProject({ level: 'x' }),
  'POST /projects/project_members': ofProject({ role: 'x' }),
  'POST /projects/promote': [
    { name: 'existing', body: { project_id: 951, user_id: 902 } },
    { name: 'missing', body: { project_id: 951, user_id: 999 } },
    { name: 'missing project', body: { project_id: 999, user_id: 902 } },
    { name: 'no project', body: {} },
  ],
  // All users of these tests are members of staff.
  'POST /users/list': [
    { name: 'external', body: { isStaff: false } },
    { name: 'staff', body: { isStaff: true } },
  ],
  'PUT /users/:id': [{ name: 'rights', params: { id: OWNER }, body: { is_staff: 'x' } }],
}

/** Returns the targets of an operation; none if it has path parameters and is not listed here. */
export function targetsOf(method: string, path: string): readonly Target[] {
  const named = BY_OPERATION[`${method} ${path}`] ?? []
  if (path.includes(':')) return [...(BY_PATH[path] ?? []), ...named]
  return named.length > 0 ? named : [{ name: '', ...(method === 'GET' ? {} : { body: {} }) }]
}
