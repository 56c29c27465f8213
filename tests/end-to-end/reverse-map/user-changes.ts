import {
  type Change,
  each,
  either,
  type Entries,
  areasOf,
  holdersOf,
  ids,
  listsOf,
  ONLY,
  pagesAndListOf,
  pagesOf,
  profilesOf,
  projectsWith,
  together,
  usersShownBy,
} from './change.ts'

const ANY_NAME = {
  because: 'all business areas are one entry, which shows the names of some users',
  stale: { 'agency:business_areas': ONLY },
} as const

const setUser = (id: number, assignment: string) =>
  `update users_user set ${assignment} where id = ${id}`
const setProfile = (assignment: string) =>
  `update users_publicstaffprofile set ${assignment} where user_id = 5`
const setWork = (assignment: string) => `update users_userwork set ${assignment} where user_id = 8`

const publicPagesOf = (users: string): Entries => ({
  'staff:profile': profilesOf(users),
  'staff:list': ONLY,
})

const emailOf = (user: number) =>
  `select encode(convert_to(email, 'UTF8'), 'hex') from users_user where id = ${user}`

/** Returns SQL that selects the projects of users for whom this user acts. */
const projectsCoveredBy = (user: number) =>
  projectsWith(
    `select user_id from caretakers_caretaker
     where caretaker_id = ${user} and (end_date is null or end_date > now())`,
  )

/** Returns the entries that show the names of a user who is on no e-mail list. */
const named = (user: number) =>
  together(pagesAndListOf(usersShownBy(String(user))), {
    'project:detail': either(projectsWith(String(user)), projectsCoveredBy(user)),
  })

/** Changes of users and their related tables. */
export const userChanges: readonly Change[] = [
  ...each(
    {
      'user: display_first_name': setUser(3, `display_first_name = 'Renamed'`),
      'user: display_last_name': setUser(3, `display_last_name = 'Renamed'`),
      'user: display_first_name, at the end of a long chain': setUser(
        18,
        `display_first_name = 'Chained'`,
      ),
    },
    {
      stale: {},
      coarser: ANY_NAME,
    },
  ).map((change) => {
    const user = change.sql.endsWith('18') ? 18 : 3
    return { ...change, stale: together(named(user), publicPagesOf(String(user))) }
  }),
  {
    what: 'user: email',
    // Public pages do not show it.
    sql: setUser(3, `email = 'newcomer@spms.test'`),
    stale: together(named(3), { 'user:by_email': emailOf(3) }),
    coarser: ANY_NAME,
  },
  {
    what: 'user: display_last_name, on an e-mail list',
    sql: setUser(6, `display_last_name = 'Listed'`),
    stale: together(named(6), publicPagesOf('6'), holdersOf(areasOf('411'))),
  },
  ...each(
    {
      'user: is_staff': setUser(4, 'is_staff = false'),
      'user: is_staff, restored': setUser(4, 'is_staff = true'),
    },
    {
      stale: together(pagesAndListOf(ids(4)), {
        'project:detail': projectsWith('4'),
        'staff:list': ONLY,
      }),
      coarser: {
        because: 'the access entry contains it, although no answer depends on it yet',
        stale: { 'user:access': ids(4) },
      },
    },
  ),
  ...each(
    {
      'user: is_active': setUser(4, 'is_active = false'),
      'user: is_active, restored': setUser(4, 'is_active = true'),
    },
    {
      stale: together(pagesAndListOf(ids(4)), publicPagesOf('4'), {
        'project:detail': projectsWith('4'),
        'staff:projects': ids(4),
        'user:access': ids(4),
      }),
    },
  ),
  {
    what: 'user: is_superuser',
    sql: setUser(2, 'is_superuser = true'),
    stale: together(pagesAndListOf(usersShownBy('2')), { 'user:access': ids(2) }),
  },
  ...each(
    {
      'user: first_name': setUser(13, `first_name = 'Other'`),
      'user: last_name': setUser(13, `last_name = 'Other'`),
    },
    { stale: pagesAndListOf(ids(13)) },
  ),
  ...each(
    {
      'user: is_aec': setUser(13, 'is_aec = true'),
      'user: date_joined': setUser(13, `date_joined = '2019-01-01'`),
    },
    { stale: pagesOf(ids(13)) },
  ),
  {
    what: 'user: old_pk',
    sql: setUser(13, 'old_pk = 9'),
    stale: { 'user:profile': ids(13) },
  },
  ...each(
    {
      'user: password': setUser(13, `password = 'another hash'`),
      'user: password, restored': setUser(13, `password = 'hash-13'`),
    },
    { stale: { 'user:access': ids(13) } },
  ),
  ...each(
    {
      'session revocation: all sessions': `insert into invalidation.session_revocation (user_id) values (13)`,
      'session revocation: all sessions, undone':
        'delete from invalidation.session_revocation where user_id = 13',
    },
    { stale: { 'user:access': ids(13) } },
  ),
  {
    what: 'session revocation: one session',
    sql: `insert into invalidation.session_revocation (user_id, session_id, expires_at)
          values (13, 'another', now() + interval '1 day')`,
    stale: {},
    coarser: {
      because: 'only requests with that session get a different answer',
      stale: { 'user:access': ids(13) },
    },
  },
  ...each(
    {
      'user: last_login': setUser(13, 'last_login = now()'),
      'user: a save that changes nothing': setUser(
        13,
        'email = email, display_first_name = display_first_name, is_active = is_active',
      ),
      'work: updated_at': setWork('updated_at = now()'),
    },
    { stale: {} },
  ),
  {
    what: 'user: insert',
    sql: `insert into users_user
            (id, password, is_staff, username, email, display_first_name, display_last_name)
          values (21, 'hash-21', true, 'user21', 'user21@spms.test', 'Shown21', 'Name21')`,
    stale: together(pagesAndListOf(ids(21)), {
      'user:access': ids(21),
      'user:by_email': emailOf(21),
    }),
    coarser: {
      because: 'a new row matches every rule of its table, although no answer shows a new user yet',
      stale: { 'staff:list': ONLY, 'staff:projects': ids(21), 'agency:business_areas': ONLY },
    },
  },
  {
    what: 'user: delete',
    sql: 'delete from users_user where id = 7',
    stale: together(
      pagesAndListOf(ids(7)),
      publicPagesOf('7'),
      listsOf(ids(7)),
      { 'user:access': ids(7), 'user:by_email': emailOf(7) },
      {
        'project:detail': either(
          projectsWith('7'),
          `select project_id from projects_projectdetail
           where 7 in (creator_id, modifier_id, owner_id, data_custodian_id, site_custodian_id)`,
        ),
      },
      holdersOf(areasOf('412')),
    ),
  },

  {
    what: 'work: role',
    sql: setWork(`role = 'Another'`),
    stale: together(pagesAndListOf(ids(8)), { 'staff:profile': profilesOf('8') }),
  },
  {
    what: 'work: business_area_id',
    sql: setWork('business_area_id = 403'),
    stale: together(pagesAndListOf(ids(8)), publicPagesOf('8')),
  },
  {
    what: 'work: affiliation_id',
    sql: setWork('affiliation_id = 441'),
    stale: together(pagesAndListOf(ids(8)), { 'project:detail': projectsWith('8') }),
  },
  { what: 'work: branch_id', sql: setWork('branch_id = 421'), stale: pagesAndListOf(ids(8)) },
  { what: 'work: agency_id', sql: setWork('agency_id = 432'), stale: { 'user:me': ids(8) } },
  ...each(
    {
      'work: delete': 'delete from users_userwork where user_id = 8',
      'work: insert': `insert into users_userwork (user_id, business_area_id, affiliation_id, role)
                       values (8, 401, 442, 'Back')`,
    },
    {
      stale: together(pagesAndListOf(ids(8)), publicPagesOf('8'), {
        'project:detail': projectsWith('8'),
      }),
    },
  ),
  {
    what: 'work: user_id',
    sql: setWork('user_id = 20'),
    stale: together(pagesAndListOf(ids(8, 20)), publicPagesOf('8, 20'), {
      'project:detail': projectsWith('8, 20'),
    }),
  },

  ...each(
    {
      'user profile: delete': 'delete from users_userprofile where user_id = 8',
      'user profile: insert': `insert into users_userprofile (user_id, title) values (8, 'mr')`,
    },
    { stale: { ...pagesOf(ids(8)), 'project:detail': projectsWith('8') } },
  ),
  {
    what: 'user profile: user_id',
    sql: 'update users_userprofile set user_id = 20 where user_id = 8',
    stale: { ...pagesOf(ids(8, 20)), 'project:detail': projectsWith('8, 20') },
  },
  {
    what: 'user profile: middle_initials',
    sql: `update users_userprofile set middle_initials = 'X' where user_id = 20`,
    stale: {},
  },
  ...each(
    {
      'contact: phone': `update contacts_usercontact set phone = '1' where user_id = 8`,
      'contact: fax': `update contacts_usercontact set fax = '2' where user_id = 8`,
      'contact: delete': 'delete from contacts_usercontact where user_id = 8',
      'contact: insert': `insert into contacts_usercontact (user_id, phone) values (8, '3')`,
    },
    { stale: pagesOf(ids(8)) },
  ),
  {
    what: 'contact: user_id',
    sql: 'update contacts_usercontact set user_id = 20 where user_id = 8',
    stale: pagesOf(ids(8, 20)),
  },
  ...each(
    {
      'contact: email': `update contacts_usercontact set email = 'x@spms.test' where user_id = 20`,
      'contact: alt_phone': `update contacts_usercontact set alt_phone = '4' where user_id = 20`,
    },
    { stale: {} },
  ),

  ...each(
    {
      'avatar: file': `update medias_useravatar set file = 'user_avatars/x' where user_id = 2`,
      'avatar: delete': 'delete from medias_useravatar where user_id = 2',
      'avatar: insert': `insert into medias_useravatar (user_id, file) values (2, 'user_avatars/y')`,
    },
    { stale: together(pagesAndListOf(usersShownBy('2')), publicPagesOf('2')) },
  ),
  {
    what: 'avatar: user_id',
    sql: 'update medias_useravatar set user_id = 12 where user_id = 2',
    stale: together(pagesAndListOf(usersShownBy('2, 12')), publicPagesOf('2, 12')),
    // User 12 was the caretaker of user 11.
    coarser: {
      because: 'an entry from before the end of a caretaker may still be cached',
      stale: pagesOf(ids(11)),
    },
  },

  ...each(
    {
      'staff profile: about': setProfile(`about = 'Other'`),
      'staff profile: expertise': setProfile(`expertise = 'Other'`),
    },
    { stale: together(publicPagesOf('5'), pagesOf(ids(5))) },
  ),
  ...each(
    {
      'staff profile: is_hidden': setProfile('is_hidden = true'),
      'staff profile: is_hidden, restored': setProfile('is_hidden = false'),
    },
    {
      stale: together(publicPagesOf('5'), pagesOf(ids(5)), { 'staff:projects': ids(5) }),
    },
  ),
  ...each(
    {
      'staff profile: public_email': setProfile(`public_email = 'other@spms.test'`),
      'staff profile: public_email_on': setProfile('public_email_on = false'),
    },
    { stale: together(publicPagesOf('5'), { 'user:me': ids(5) }) },
  ),
  ...each(
    {
      'staff profile: custom_title_on': setProfile('custom_title_on = true'),
      'staff profile: custom_title': setProfile(`custom_title = 'Other'`),
    },
    { stale: { 'staff:profile': profilesOf('5'), 'user:me': ids(5) } },
  ),
  ...each(
    Object.fromEntries(
      [`employee_id = '9'`, 'it_asset_id = 9', `aucode = '9'`, `title = 'mr'`].map((assignment) => [
        `staff profile: ${assignment}`,
        setProfile(assignment),
      ]),
    ),
    { stale: {} },
  ),
  {
    what: 'staff profile: delete',
    sql: 'delete from users_publicstaffprofile where user_id = 20',
    stale: together(publicPagesOf('20'), pagesOf(ids(20)), { 'staff:projects': ids(20) }),
  },
  {
    what: 'staff profile: insert',
    sql: `insert into users_publicstaffprofile (id, user_id, about) values (121, 20, 'Again')`,
    stale: together(publicPagesOf('20'), pagesOf(ids(20)), { 'staff:projects': ids(20) }),
  },
  ...each(
    {
      'staff profile: user_id': 'update users_publicstaffprofile set user_id = 21 where id = 121',
      'staff profile: user_id, restored':
        'update users_publicstaffprofile set user_id = 20 where id = 121',
    },
    {
      stale: together(publicPagesOf('20, 21'), pagesOf(ids(20, 21)), { 'staff:projects': ids(20) }),
      coarser: {
        because: 'the list of a user without projects is empty with and without a profile',
        stale: { 'staff:projects': ids(21) },
      },
    },
  ),

  ...each(
    {
      'employment: position_title': `update users_employmententry set position_title = 'x' where id = 1505`,
      'employment: start_year':
        'update users_employmententry set start_year = 1999 where id = 1505',
      'employment: end_year': 'update users_employmententry set end_year = 2010 where id = 1505',
      'employment: section': `update users_employmententry set section = 'x' where id = 1505`,
      'employment: employer': `update users_employmententry set employer = 'x' where id = 1505`,
      'education: qualification_name': `update users_educationentry set qualification_name = 'x' where id = 1605`,
      'education: end_year': 'update users_educationentry set end_year = 1999 where id = 1605',
      'education: institution': `update users_educationentry set institution = 'x' where id = 1605`,
      'education: location': `update users_educationentry set location = 'x' where id = 1605`,
      'education: delete': 'delete from users_educationentry where id = 1605',
      'education: insert': `insert into users_educationentry
          (public_profile_id, qualification_name, end_year, institution, location)
        values (105, 'Degree', 2001, 'ECU', 'Perth')`,
      'employment: insert': `insert into users_employmententry
          (public_profile_id, position_title, start_year) values (105, 'Later', 2020)`,
      'employment: delete': 'delete from users_employmententry where start_year = 2020',
      'tagging: delete':
        'delete from users_publicstaffprofile_keyword_tags where publicstaffprofile_id = 105 and keywordtag_id = 471',
      'tagging: insert':
        'insert into users_publicstaffprofile_keyword_tags (publicstaffprofile_id, keywordtag_id) values (105, 471)',
    },
    { stale: { 'staff:profile': ids(105) } },
  ),
  {
    what: 'employment: public_profile_id',
    sql: 'update users_employmententry set public_profile_id = 106 where id = 1505',
    stale: { 'staff:profile': ids(105, 106) },
  },
  {
    what: 'tagging: publicstaffprofile_id',
    sql: 'update users_publicstaffprofile_keyword_tags set publicstaffprofile_id = 110 where publicstaffprofile_id = 101',
    stale: { 'staff:profile': ids(101, 110) },
  },
  ...each(
    {
      'tag: name': `update users_keywordtag set name = 'whales' where id = 472`,
      'tag: delete': 'delete from users_keywordtag where id = 472',
    },
    {
      stale: {
        'staff:profile':
          'select publicstaffprofile_id from users_publicstaffprofile_keyword_tags where keywordtag_id = 472',
      },
    },
  ),

  {
    what: 'caretaker: insert',
    sql: 'insert into caretakers_caretaker (id, user_id, caretaker_id) values (690, 9, 10)',
    stale: together(pagesOf(ids(9, 10)), { 'project:detail': projectsWith('9') }),
  },
  {
    what: 'caretaker: insert, above a chain',
    sql: 'insert into caretakers_caretaker (id, user_id, caretaker_id) values (691, 3, 4)',
    stale: together(pagesOf(either(usersShownBy('3'), usersShownBy('4'))), {
      'project:detail': projectsWith('3'),
    }),
  },
  {
    what: 'caretaker: end_date',
    sql: `update caretakers_caretaker set end_date = '2099-01-01' where id = 690`,
    stale: pagesOf(ids(9, 10)),
    coarser: {
      because: 'a rule detects that a date changed, but not whether it has passed',
      stale: { 'project:detail': projectsWith('9') },
    },
  },
  {
    what: 'caretaker: caretaker_id',
    sql: 'update caretakers_caretaker set caretaker_id = 8 where id = 690',
    stale: together(pagesOf(ids(8, 9, 10)), { 'project:detail': projectsWith('9') }),
  },
  {
    what: 'caretaker: user_id',
    sql: 'update caretakers_caretaker set user_id = 10 where id = 690',
    stale: together(pagesOf(ids(8, 9, 10)), { 'project:detail': projectsWith('9, 10') }),
  },
  ...each(
    {
      'caretaker: end_date, passed': `update caretakers_caretaker set end_date = '2020-01-01' where id = 690`,
      'caretaker: end_date, removed':
        'update caretakers_caretaker set end_date = null where id = 690',
      'caretaker: delete': 'delete from caretakers_caretaker where id = 690',
    },
    { stale: together(pagesOf(ids(8, 10)), { 'project:detail': projectsWith('10') }) },
  ),
  ...each(
    {
      'caretaker: reason': `update caretakers_caretaker set reason = 'x' where id = 601`,
      'caretaker: notes': `update caretakers_caretaker set notes = 'x' where id = 601`,
    },
    { stale: {} },
  ),
  ...each(
    {
      'group of a user: insert': 'insert into users_user_groups (user_id, group_id) values (8, 2)',
      'group of a user: group_id': 'update users_user_groups set group_id = 3 where user_id = 8',
      'group of a user: delete': 'delete from users_user_groups where user_id = 8',
      'permission of a user: insert':
        'insert into users_user_user_permissions (user_id, permission_id) values (8, 5)',
      'permission of a user: delete': 'delete from users_user_user_permissions where user_id = 8',
    },
    { stale: { 'user:profile': ids(8) } },
  ),
]
