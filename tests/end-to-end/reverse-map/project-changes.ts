import {
  type Change,
  each,
  type Entries,
  ids,
  leadersOf,
  listsOf,
  membersOf,
  ONLY,
  pagesAndListOf,
  pagesOf,
  projectsWith,
  together,
} from './change.ts'

// User 3 leads project 203, and user 4 is a member. It is in area 402, and its kind shows the
// description of the project itself.
const PROJECT = 'select 203'
const EXTERNAL = 'select 204'

const set = (assignment: string) => `update projects_project set ${assignment} where id = 203`
const insertInto = (table: string, columns: string, values: string) =>
  `insert into ${table} (${columns}) values (${values})`

const detailOf = (project: string): Entries => ({ 'project:detail': project })
const allOf = (project: string) => together(detailOf(project), listsOf(membersOf(project)))

/** Changes of projects and their related tables. */
export const projectChanges: readonly Change[] = [
  ...each({ 'project: title': set(`title = 'Another title'`) }, { stale: allOf(PROJECT) }),
  ...each(
    {
      'project: status': set(`status = 'completed'`),
      'project: kind': set(`kind = 'student'`),
      'project: year': set('year = 1999'),
    },
    { stale: { ...allOf(PROJECT), 'project:stats': ONLY } },
  ),
  ...each({ 'project: number': set('number = 77') }, { stale: allOf(PROJECT) }),
  ...each(
    {
      'project: description': set(`description = 'Another description'`),
      'project: start_date': set(`start_date = '2019-01-01'`),
      'project: end_date': set(`end_date = '2039-01-01'`),
      'project: created_at': set(`created_at = '2018-01-01'`),
    },
    { stale: allOf(PROJECT) },
  ),
  ...each(
    {
      'project: tagline': set(`tagline = 'A tagline'`),
      'project: keywords': set(`keywords = 'a keyword'`),
      'project: deletion_requested': set('deletion_requested = true'),
      'project: updated_at': set(`updated_at = '2018-01-01'`),
    },
    { stale: detailOf(PROJECT) },
  ),
  {
    what: 'project: business_area_id',
    sql: set('business_area_id = 403'),
    stale: together(
      allOf(PROJECT),
      { 'project:stats': ONLY },
      pagesAndListOf(leadersOf(ids(402, 403))),
    ),
  },
  ...each(
    {
      'project: hidden_from_staff_profiles': set(`hidden_from_staff_profiles = '{3}'`),
      'project: hidden_from_staff_profiles, restored': set(`hidden_from_staff_profiles = '{}'`),
    },
    {
      stale: together(detailOf(PROJECT), { 'staff:projects': ids(3) }),
      coarser: {
        because:
          'a rule detects that a list of users changed, but not which users were added or removed',
        stale: { 'staff:projects': ids(4) },
      },
    },
  ),
  {
    what: 'project: insert',
    sql: insertInto(
      'projects_project',
      'id, kind, status, year, number, title, business_area_id',
      `290, 'science', 'new', 2024, 90, 'New', 401`,
    ),
    stale: together(detailOf('select 290'), { 'project:stats': ONLY }, pagesAndListOf(ids(1))),
  },
  {
    what: 'project: delete',
    sql: 'delete from projects_project where id = 210',
    stale: together(
      allOf('select 210'),
      { 'project:stats': ONLY },
      pagesAndListOf(leadersOf('select business_area_id from projects_project where id = 210')),
    ),
  },

  {
    what: 'member: insert',
    sql: insertInto(
      'projects_projectmember',
      'id, project_id, user_id, role',
      `690, 203, 9, 'group'`,
    ),
    stale: together(detailOf(PROJECT), listsOf(ids(9))),
  },
  {
    what: 'member: user_id',
    sql: 'update projects_projectmember set user_id = 10 where id = 690',
    stale: together(detailOf(PROJECT), listsOf(ids(9, 10))),
  },
  {
    what: 'member: project_id',
    sql: 'update projects_projectmember set project_id = 206 where id = 690',
    stale: together(detailOf(ids(203, 206)), listsOf(ids(10))),
  },
  {
    what: 'member: role',
    sql: `update projects_projectmember set role = 'technical' where id = 690`,
    stale: together(detailOf(ids(206)), listsOf(ids(10))),
  },
  ...each(
    {
      'member: is_leader': 'update projects_projectmember set is_leader = true where id = 690',
      'member: position': 'update projects_projectmember set position = 7 where id = 690',
    },
    { stale: detailOf(ids(206)) },
  ),
  ...each(
    {
      'member: time_allocation':
        'update projects_projectmember set time_allocation = 0.7 where id = 690',
      'member: short_code': `update projects_projectmember set short_code = 'x' where id = 690`,
      'member: comments': `update projects_projectmember set comments = 'x' where id = 690`,
    },
    { stale: {} },
  ),
  {
    what: 'member: delete',
    sql: 'delete from projects_projectmember where id = 690',
    stale: together(detailOf(ids(206)), listsOf(ids(10))),
  },

  {
    what: 'project area: areas',
    sql: `update projects_projectarea set areas = '{463,461}' where project_id = 203`,
    stale: detailOf(PROJECT),
    coarser: {
      because: 'a rule detects that a list of areas changed, but not whether it was or is empty',
      stale: { 'project:stats': ONLY },
    },
  },
  ...each(
    {
      'project area: areas, emptied': `update projects_projectarea set areas = '{}' where project_id = 203`,
      'project area: areas, filled': `update projects_projectarea set areas = '{461}' where project_id = 203`,
      'project area: delete': 'delete from projects_projectarea where project_id = 203',
      'project area: insert': insertInto(
        'projects_projectarea',
        'project_id, areas',
        `203, '{462}'`,
      ),
    },
    { stale: { ...detailOf(PROJECT), 'project:stats': ONLY } },
  ),
  {
    what: 'project area: project_id',
    sql: 'update projects_projectarea set project_id = 219 where project_id = 203',
    stale: detailOf(ids(203, 219)),
  },
  ...each(
    {
      'map area: name': `update locations_area set name = 'Elsewhere' where id = 461`,
      'map area: area_type': `update locations_area set area_type = 'dbcadistrict' where id = 461`,
      'map area: delete': 'delete from locations_area where id = 461',
    },
    {
      stale: {
        'location:areas': ONLY,
        'project:detail': 'select project_id from projects_projectarea where 461 = any (areas)',
      },
    },
  ),
  {
    what: 'map area: insert',
    sql: insertInto('locations_area', 'id, name, area_type', `464, 'Albany', 'dbcadistrict'`),
    stale: { 'location:areas': ONLY },
  },

  ...each(
    Object.fromEntries([
      ...['creator_id', 'modifier_id', 'owner_id', 'data_custodian_id', 'site_custodian_id'].map(
        (column) => [
          `project details: ${column}`,
          `update projects_projectdetail set ${column} = 20 where project_id = 203`,
        ],
      ),
      ...['service_id = null', `updated_at = '2018-01-01'`, 'old_output_program_id = 9'].map(
        (assignment) => [
          `project details: ${assignment}`,
          `update projects_projectdetail set ${assignment} where project_id = 203`,
        ],
      ),
      ['project details: delete', 'delete from projects_projectdetail where project_id = 203'],
      [
        'project details: insert',
        insertInto('projects_projectdetail', 'project_id, creator_id', '203, 20'),
      ],
    ]),
    { stale: detailOf(PROJECT) },
  ),
  {
    what: 'service: name',
    sql: `update agencies_departmentalservice set name = 'Renamed' where id = 452`,
    stale: detailOf('select project_id from projects_projectdetail where service_id = 452'),
  },
  ...each(
    {
      'student details: level': `update projects_studentprojectdetails set level = 'msc' where project_id = 205`,
      'student details: organisation': `update projects_studentprojectdetails set organisation = 'ECU' where project_id = 205`,
      'student details: delete':
        'delete from projects_studentprojectdetails where project_id = 205',
      'student details: insert': insertInto('projects_studentprojectdetails', 'project_id', '205'),
    },
    { stale: detailOf(ids(205)) },
  ),
  ...each(
    {
      'external details: description': `update projects_externalprojectdetails set description = 'Further' where project_id = 204`,
      'external details: delete':
        'delete from projects_externalprojectdetails where project_id = 204',
      'external details: insert': insertInto(
        'projects_externalprojectdetails',
        'project_id, description',
        `204, 'Again'`,
      ),
    },
    { stale: allOf(EXTERNAL) },
  ),
  {
    what: 'external details: description, for another kind of project',
    sql: `update projects_externalprojectdetails set description = 'Unseen' where project_id = 202`,
    stale: detailOf(ids(202)),
    coarser: {
      because: 'a rule does not check the kind of the project',
      stale: listsOf(membersOf('select 202')),
    },
  },
  ...each(
    Object.fromEntries(
      ['collaboration_with', 'budget', 'aims'].map((column) => [
        `external details: ${column}`,
        `update projects_externalprojectdetails set ${column} = 'Other' where project_id = 204`,
      ]),
    ),
    { stale: detailOf(EXTERNAL) },
  ),
  ...each(
    {
      'project photo: file': `update medias_projectphoto set file = 'projects/x' where project_id = 203`,
      'project photo: delete': 'delete from medias_projectphoto where project_id = 203',
      'project photo: insert': insertInto(
        'medias_projectphoto',
        'id, project_id, file, uploader_id',
        `790, 203, 'projects/y', 13`,
      ),
      'project photo: updated_at': `update medias_projectphoto set updated_at = '2018-01-01' where project_id = 203`,
      'project photo: size': 'update medias_projectphoto set size = 9 where project_id = 203',
    },
    { stale: allOf(PROJECT) },
  ),
  {
    what: 'project photo: uploader_id',
    sql: 'update medias_projectphoto set uploader_id = 14 where project_id = 203',
    // Public answers do not show the uploader.
    stale: together(detailOf(PROJECT), { 'user:projects': membersOf(PROJECT) }),
  },
  {
    what: 'project photo: project_id',
    sql: 'update medias_projectphoto set project_id = 216 where project_id = 203',
    stale: allOf(ids(203, 216)),
  },
  ...each(
    {
      'task: insert': insertInto(
        'adminoptions_admintask',
        'id, action, status, project_id',
        `790, 'deleteproject', 'pending', 206`,
      ),
      'task: status': `update adminoptions_admintask set status = 'rejected' where id = 790`,
      'task: status, restored': `update adminoptions_admintask set status = 'pending' where id = 790`,
    },
    { stale: detailOf(ids(206)) },
  ),
  {
    what: 'task: project_id',
    sql: 'update adminoptions_admintask set project_id = 207 where id = 790',
    stale: detailOf(ids(206, 207)),
  },
  ...each(
    {
      'task: action': `update adminoptions_admintask set action = 'setcaretaker' where id = 790`,
      'task: action, restored': `update adminoptions_admintask set action = 'deleteproject' where id = 790`,
    },
    { stale: detailOf(ids(207)) },
  ),
  ...each(
    {
      'task: reason': `update adminoptions_admintask set reason = 'x' where id = 790`,
      'task: notes': `update adminoptions_admintask set notes = 'x' where id = 790`,
    },
    { stale: {} },
  ),
  {
    what: 'task: delete',
    sql: 'delete from adminoptions_admintask where id = 790',
    stale: detailOf(ids(207)),
  },

  {
    what: 'document: status',
    sql: `update documents_projectdocument set status = 'approved' where id = 1803`,
    stale: { ...detailOf(PROJECT), 'project:stats': ONLY },
  },
  {
    what: 'document: kind',
    sql: `update documents_projectdocument set kind = 'projectplan' where id = 1803`,
    stale: { 'project:stats': ONLY },
  },
  {
    what: 'document: insert',
    sql: insertInto(
      'documents_projectdocument',
      'id, project_id, kind, status',
      `7777, 212, 'concept', 'inreview'`,
    ),
    // Its project shows it when its text is inserted, which is another event.
    stale: { 'project:stats': ONLY },
  },
  {
    what: 'document: project_id',
    sql: 'update documents_projectdocument set project_id = 204 where id = 1803',
    // The project of its text shows it, not the project of its own row.
    stale: {},
  },
  ...each(
    Object.fromEntries(
      [
        'project_lead_approval_granted = true',
        'business_area_lead_approval_granted = true',
        'directorate_approval_granted = true',
        'pdf_generation_in_progress = true',
        'modifier_id = 5',
      ].map((assignment) => [
        `document: ${assignment}`,
        `update documents_projectdocument set ${assignment} where id = 1803`,
      ]),
    ),
    { stale: {} },
  ),
  ...[
    ['conceptplan', '1803, 203'],
    ['projectplan', '2803, 203'],
    ['progressreport', '3803, 203, 772, 2021'],
    ['studentreport', '4803, 203, 772, 2021'],
    ['projectclosure', '5803, 203'],
  ].flatMap(([table, values = '']) => {
    const columns = 'document_id, project_id'
    const all = values.split(',').length > 2 ? `${columns}, report_id, year` : columns
    const name = `documents_${table}`
    return each(
      {
        [`${table}: document_id`]: `update ${name} set document_id = 7777 where project_id = 203`,
        [`${table}: delete`]: `delete from ${name} where project_id = 203`,
        [`${table}: insert`]: insertInto(name, all, values),
      },
      { stale: detailOf(PROJECT) },
    )
  }),
  ...each(
    {
      'progressreport: insert, for another year': insertInto(
        'documents_progressreport',
        'id, document_id, project_id, report_id, year',
        '869, 3801, 205, 772, 2021',
      ),
      'progressreport: year': 'update documents_progressreport set year = 2019 where id = 869',
    },
    { stale: detailOf(ids(205)) },
  ),
  {
    what: 'progressreport: project_id',
    sql: 'update documents_progressreport set project_id = 206 where id = 869',
    stale: detailOf(ids(205, 206)),
  },
  ...each(
    {
      'progressreport: text': `update documents_progressreport set progress = 'x' where project_id = 204`,
      'conceptplan: text': `update documents_conceptplan set background = 'x' where project_id = 204`,
      'projectplan: text': `update documents_projectplan set aims = 'x' where project_id = 204`,
      'studentreport: text': `update documents_studentreport set progress_report = 'x' where project_id = 204`,
      'projectclosure: text': `update documents_projectclosure set reason = 'x' where project_id = 204`,
    },
    { stale: {} },
  ),
  {
    what: 'document: delete',
    sql: 'delete from documents_projectdocument where id = 1804',
    // The delete cascades to its text.
    stale: { 'project:detail': ids(204), 'project:stats': ONLY },
  },

  {
    what: 'user: username, of a photo uploader whom projects name',
    sql: `update users_user set username = 'renamed' where id = 12`,
    stale: together(pagesAndListOf(ids(12)), {
      'project:detail': `
        select project_id from medias_projectphoto where uploader_id = 12
        union
        select project_id from projects_projectdetail
        where 12 in (creator_id, modifier_id, owner_id, data_custodian_id, site_custodian_id)`,
      'user:projects': membersOf(
        'select project_id from medias_projectphoto where uploader_id = 12',
      ),
    }),
  },
  {
    what: 'user profile: title',
    sql: `update users_userprofile set title = 'prof' where user_id = 8`,
    stale: { ...pagesOf(ids(8)), 'project:detail': projectsWith('8') },
  },
]
