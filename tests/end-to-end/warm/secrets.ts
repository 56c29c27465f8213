/** A column that no anonymous answer may show. Its values are marked, so that tests can find them. */
interface Secret {
  readonly table: string
  readonly column: string
  readonly kind: 'text' | 'number' | 'past' | 'future'
  /** Whether a cached answer shows it to users. */
  readonly isCached: boolean
  /** SQL condition of the rows in which it is secret; by default all rows. */
  readonly where?: string
}

const secret = (
  table: string,
  columns: string,
  options: Partial<Pick<Secret, 'kind' | 'isCached' | 'where'>> = {},
): Secret[] =>
  columns.split(' ').map((column) => ({ table, column, kind: 'text', isCached: false, ...options }))

const cached = { isCached: true } as const

/** Users whom public answers never show: one hidden, one without a profile, one inactive. */
const UNSEEN = '(19, 21, 22)'

const SECRETS: readonly Secret[] = [
  ...secret('users_user', 'username email first_name last_name', cached),
  ...secret('users_user', 'old_pk', { ...cached, kind: 'number' }),
  ...secret('users_user', 'date_joined', { ...cached, kind: 'past' }),
  ...secret('users_user', 'last_login', { kind: 'past' }),
  ...secret('users_user', 'display_first_name display_last_name', {
    ...cached,
    where: `id in ${UNSEEN}`,
  }),
  ...secret('users_publicstaffprofile', 'employee_id aucode title'),
  ...secret('users_publicstaffprofile', 'it_asset_id', { kind: 'number' }),
  ...secret('users_publicstaffprofile', 'public_email', {
    ...cached,
    where: 'not public_email_on',
  }),
  ...secret('users_publicstaffprofile', 'about expertise custom_title', {
    ...cached,
    where: `user_id in ${UNSEEN}`,
  }),
  ...secret('users_employmententry', 'position_title', { where: 'public_profile_id > 118' }),
  ...secret('users_educationentry', 'qualification_name', { where: 'public_profile_id > 118' }),
  ...secret('medias_useravatar', 'file', { ...cached, where: `user_id in ${UNSEEN}` }),
  ...secret('users_userwork', 'role', { ...cached, where: `user_id in ${UNSEEN}` }),
  ...secret('users_userprofile', 'title', cached),
  ...secret('users_userprofile', 'middle_initials'),
  ...secret('contacts_usercontact', 'phone fax', cached),
  ...secret('contacts_usercontact', 'email alt_phone'),
  ...secret('caretakers_caretaker', 'reason notes'),
  ...secret('caretakers_caretaker', 'end_date', { ...cached, kind: 'future' }),
  ...secret('adminoptions_admintask', 'reason notes'),
  ...secret('projects_projectmember', 'short_code comments'),
  ...secret('projects_projectmember', 'time_allocation', { kind: 'number' }),
  ...secret('projects_externalprojectdetails', 'budget', cached),
  ...secret('agencies_businessarea', 'cost_center old_leader_id', { kind: 'number' }),
  ...secret('agencies_businessarea', 'old_finance_admin_id old_data_custodian_id', {
    kind: 'number',
  }),
  ...secret('communications_comment', 'text ip_address'),
  ...secret('django_session', 'session_data'),
]

/** Additional rows: the users of `UNSEEN` with related rows, and rows with secrets. */
const UNSEEN_ROWS = `
  insert into users_user (id, password, is_staff, is_active, username) values
    (21, 'hash-21', true, true, 'u21'), (22, 'hash-22', true, false, 'u22');
  insert into users_publicstaffprofile (id, user_id) values (122, 22);
  insert into users_userwork (id, user_id, business_area_id) values (519, 19, 401),
    (521, 21, 401), (522, 22, 401);
  insert into medias_useravatar (id, user_id) values (598, 19), (599, 22);
  insert into users_employmententry (public_profile_id, position_title, start_year) values
    (119, '', 2000), (122, '', 2000);
  insert into users_educationentry
    (public_profile_id, qualification_name, end_year, institution, location)
  values (119, '', 2000, '', ''), (122, '', 2000, '', '');
  insert into projects_projectmember (project_id, user_id, role) values
    (203, 19, 'group'), (203, 21, 'group'), (203, 22, 'group');
  insert into agencies_division_directorate_email_list (division_id, user_id) values
    (411, 19), (411, 21), (412, 22);
  update users_publicstaffprofile set public_email_on = false where id in (104, 105);
  insert into communications_comment (document_id, text) values (1803, '');
  insert into django_session (session_key, session_data, expire_date) values
    (1, '', '2100-01-01');
  update projects_project set hidden_from_staff_profiles = array[1999000000 + id];`

/** Marks every secret of every row, each with its own mark. */
export const markSecrets = `${UNSEEN_ROWS}
${SECRETS.map(statement).join('\n')}`

function statement({ table, column, kind, where = 'true' }: Secret, index: number): string {
  const id = table === 'django_session' ? 'session_key' : 'id'
  const value = {
    text: `'Zq${index.toString(36)}x' || ${id} || 'Z'`,
    number: `${1_900_000_000 + index * 1_000_000} + ${id}`,
    past: `timestamptz '1905-01-01' + ${id} * interval '1 day'`,
    future: `timestamptz '2905-01-01' + ${id} * interval '1 day'`,
  }[kind]
  return `update ${table} set ${column} = ${value} where ${where};`
}

const NUMBERS_AND_DATES = String.raw`\b19\d\d00\d{4}\b|\b190\d-\d\d-\d\d|\b290\d-\d\d-\d\d`

/** Any secret, or a password hash. */
export const ANY_SECRET = new RegExp(`Zq[0-9a-z]+x\\d+Z|${NUMBERS_AND_DATES}|hash-\\d`)

/** A secret that no cached answer shows, not even to users; or a password hash. */
export const NEVER_CACHED = new RegExp(
  [
    ...SECRETS.flatMap(({ isCached, kind }, index) => {
      if (isCached) return []
      if (kind === 'text') return [`Zq${index.toString(36)}x\\d+Z`]
      return kind === 'number' ? [`\\b19${String(index).padStart(2, '0')}00\\d{4}\\b`] : []
    }),
    'hash-\\d',
  ].join('|'),
)
