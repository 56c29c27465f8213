import {
  allHoldersOf,
  areasOf,
  type Change,
  each,
  holdersOf,
  leadersOf,
  ONLY,
  pagesAndListOf,
  pagesOf,
  profilesOf,
  projectsWith,
  together,
  workersOf,
} from './change.ts'

const AREA = 'select 402'
const DIVISION = 'select 411'

const setArea = (assignment: string) =>
  `update agencies_businessarea set ${assignment} where id = 402`
const setDivision = (assignment: string) =>
  `update agencies_division set ${assignment} where id = 411`

const inBranch = 'select user_id from users_userwork where branch_id = 421'
const inAgency = 'select user_id from users_userwork where agency_id = 431'
const from = (affiliation: number) =>
  `select user_id from users_userwork where affiliation_id = ${affiliation}`

/** Changes of the organisation's tables. */
export const agencyChanges: readonly Change[] = [
  ...each(
    {
      'branch: name': `update agencies_branch set name = 'Renamed' where id = 421`,
      'branch: manager_id': 'update agencies_branch set manager_id = 9 where id = 421',
      'branch: agency_id': 'update agencies_branch set agency_id = 432 where id = 421',
      'branch: delete': 'delete from agencies_branch where id = 421',
    },
    { stale: { 'agency:branches': ONLY, ...pagesAndListOf(inBranch) } },
  ),
  {
    what: 'branch: insert',
    sql: `insert into agencies_branch (name, agency_id) values ('New branch', 431)`,
    stale: { 'agency:branches': ONLY },
    coarser: {
      because: 'a new row matches every rule of its table, although no user works in it yet',
      stale: { 'user:list': ONLY },
    },
  },

  {
    what: 'business area: name',
    sql: setArea(`name = 'Renamed'`),
    stale: together(allHoldersOf(AREA), pagesOf(leadersOf(AREA)), {
      'staff:list': ONLY,
      'staff:profile': profilesOf(workersOf(AREA)),
      'project:stats': ONLY,
    }),
  },
  ...each(
    Object.fromEntries(
      [
        `slug = 'renamed'`,
        `focus = 'Another'`,
        `introduction = 'Another'`,
        'finance_admin_id = 9',
        'data_custodian_id = 9',
        'is_active = false',
      ].map((assignment) => [`business area: ${assignment}`, setArea(assignment)]),
    ),
    { stale: allHoldersOf(AREA) },
  ),
  ...each(
    {
      'business area: leader_id': setArea('leader_id = 9'),
      'business area: caretaker_id': setArea('caretaker_id = 9'),
      'business area: division_id': setArea('division_id = 412'),
      'business area: division_id, restored': setArea('division_id = 411'),
    },
    { stale: together(allHoldersOf(AREA), pagesOf(leadersOf(AREA))) },
  ),
  ...each(
    Object.fromEntries(
      [
        'published = true',
        'cost_center = 9',
        'old_leader_id = 9',
        'old_finance_admin_id = 9',
        'old_data_custodian_id = 9',
      ].map((assignment) => [`business area: ${assignment}`, setArea(assignment)]),
    ),
    { stale: {} },
  ),
  ...each(
    {
      'business area photo: file': `update medias_businessareaphoto set file = 'x' where business_area_id = 402`,
      'business area photo: delete':
        'delete from medias_businessareaphoto where business_area_id = 402',
      'business area photo: insert': `insert into medias_businessareaphoto (business_area_id, file) values (402, 'y')`,
    },
    { stale: together(allHoldersOf(AREA), pagesOf(leadersOf(AREA))) },
  ),
  {
    what: 'business area photo: uploader_id',
    sql: 'update medias_businessareaphoto set uploader_id = 9 where business_area_id = 402',
    stale: {},
  },
  {
    what: 'business area: insert',
    sql: `insert into agencies_businessarea (id, agency_id, name) values (405, 431, 'Area 5')`,
    stale: { 'agency:business_areas': ONLY },
    coarser: {
      because: 'a new row matches every rule of its table, although no user works in it yet',
      stale: { 'staff:list': ONLY, 'project:stats': ONLY, 'user:list': ONLY },
    },
  },
  {
    what: 'business area: delete',
    sql: 'delete from agencies_businessarea where id = 404',
    stale: together(allHoldersOf('select 404'), {
      'staff:list': ONLY,
      'staff:profile': profilesOf(workersOf('select 404')),
      'project:stats': ONLY,
    }),
  },

  ...each(
    {
      'division: name': setDivision(`name = 'Renamed'`),
      'division: slug': setDivision(`slug = 'renamed'`),
    },
    { stale: together(allHoldersOf(areasOf(DIVISION)), pagesOf(leadersOf(areasOf(DIVISION)))) },
  ),
  ...each(
    {
      'division: director_id': setDivision('director_id = 9'),
      'division: approver_id': setDivision('approver_id = 9'),
    },
    { stale: allHoldersOf(areasOf(DIVISION)) },
  ),
  ...each(
    {
      'e-mail list: insert': `insert into agencies_division_directorate_email_list
          (id, division_id, user_id) values (419, 411, 10)`,
      'e-mail list: user_id':
        'update agencies_division_directorate_email_list set user_id = 11 where id = 419',
    },
    { stale: holdersOf(areasOf(DIVISION)) },
  ),
  {
    what: 'e-mail list: division_id',
    sql: 'update agencies_division_directorate_email_list set division_id = 412 where id = 419',
    stale: holdersOf(areasOf('411, 412')),
  },
  {
    what: 'e-mail list: delete',
    sql: 'delete from agencies_division_directorate_email_list where id = 419',
    stale: holdersOf(areasOf('412')),
  },

  ...each(
    {
      'affiliation: name': `update agencies_affiliation set name = 'Renamed' where id = 442`,
      'affiliation: updated_at': `update agencies_affiliation set updated_at = '2018-01-01' where id = 442`,
      'affiliation: delete': 'delete from agencies_affiliation where id = 442',
    },
    {
      stale: {
        'agency:affiliations': ONLY,
        ...pagesAndListOf(from(442)),
        'project:detail': projectsWith(from(442)),
      },
    },
  ),
  {
    what: 'affiliation: insert',
    sql: `insert into agencies_affiliation (name) values ('New affiliation')`,
    stale: { 'agency:affiliations': ONLY },
    coarser: {
      because: 'a new row matches every rule of its table, although no user has it yet',
      stale: { 'user:list': ONLY },
    },
  },
  ...each(
    {
      'agency: name': `update agencies_agency set name = 'Renamed' where id = 431`,
      'agency: key_stakeholder_id':
        'update agencies_agency set key_stakeholder_id = 9 where id = 431',
      'agency: is_active': 'update agencies_agency set is_active = false where id = 431',
      'agency image: file': `update medias_agencyimage set file = 'x' where agency_id = 431`,
      'agency image: delete': 'delete from medias_agencyimage where agency_id = 431',
      'agency image: insert': `insert into medias_agencyimage (agency_id, file) values (431, 'y')`,
    },
    { stale: { 'user:me': inAgency } },
  ),
]
