/**
 * SQL that leads from a changed row to entries, with one function for each step. A step takes a query
 * for ids and returns a query for ids. Steps are nested from the inside out:
 * `entries('user_id', membersOfProjects(projectsOfBusinessAreas(given)))`.
 *
 * A step reads only the table that holds the link. So it works even if the row at either end has been
 * deleted.
 */
export type Ids = string

/** Start of a lookup: the values of its rule's first `from` column. */
export const given: Ids = 'select unnest($1::text[]::bigint[])'

/** Start of a lookup with two columns that hold ids of the same kind. */
export const givenByEither: Ids = 'select unnest($1::text[]::bigint[] || $2::text[]::bigint[])'

/** End of a lookup: returns the ids as values of a parameter. */
export const entries = (param: string, ids: Ids) =>
  `select distinct id::text as ${param} from (${ids}) as found(id)`

/** Returns the union of these queries. */
export const anyOf = (...queries: readonly Ids[]): Ids => queries.join(' union all ')

/** The business areas of these divisions. */
export const businessAreasOfDivisions = (divisions: Ids): Ids =>
  `select id from agencies_businessarea where division_id in (${divisions})`

/** The divisions with one of these users on their e-mail list. */
export const divisionsThatWriteTo = (users: Ids): Ids =>
  `select division_id from agencies_division_directorate_email_list where user_id in (${users})`

/** The projects of these business areas. */
export const projectsOfBusinessAreas = (areas: Ids): Ids =>
  `select id from projects_project where business_area_id in (${areas})`

/** The projects whose photo was uploaded by one of these users. */
export const projectsPicturedBy = (users: Ids): Ids =>
  `select project_id from medias_projectphoto where uploader_id in (${users})`

/** The projects that one of these users is a member of. */
export const projectsOfMembers = (users: Ids): Ids =>
  `select project_id from projects_projectmember where user_id in (${users})`

/** The projects whose details name one of these users. */
export const projectsThatName = (users: Ids): Ids =>
  anyOf(
    ...['creator_id', 'modifier_id', 'owner_id', 'data_custodian_id', 'site_custodian_id'].map(
      (column) => `select project_id from projects_projectdetail where ${column} in (${users})`,
    ),
  )

/** The projects of these departmental services. */
export const projectsOfServices = (services: Ids): Ids =>
  `select project_id from projects_projectdetail where service_id in (${services})`

/**
 * The projects for which one of these areas on the map was chosen. The column is an array of
 * integers.
 */
export const projectsInAreas = (areas: Ids): Ids =>
  `select project_id from projects_projectarea where areas && array(
     select id::integer from (${areas}) as area(id) where id < 2 ^ 31
   )`

/** The projects that hold the text of one of these documents. */
export const projectsOfDocuments = (documents: Ids): Ids =>
  anyOf(
    ...['conceptplan', 'projectplan', 'progressreport', 'studentreport', 'projectclosure'].map(
      (kind) => `select project_id from documents_${kind} where document_id in (${documents})`,
    ),
  )

/** The users who are members of one of these projects. */
export const membersOfProjects = (projects: Ids): Ids =>
  `select user_id from projects_projectmember where project_id in (${projects})`

/** The users who work in one of these business areas. */
export const usersOfBusinessAreas = (areas: Ids): Ids =>
  `select user_id from users_userwork where business_area_id in (${areas})`

/** The users who work in one of these branches. */
export const usersOfBranches = (branches: Ids): Ids =>
  `select user_id from users_userwork where branch_id in (${branches})`

/** The users who work for one of these agencies. */
export const usersOfAgencies = (agencies: Ids): Ids =>
  `select user_id from users_userwork where agency_id in (${agencies})`

/** The users who come from one of these affiliations. */
export const usersOfAffiliations = (affiliations: Ids): Ids =>
  `select user_id from users_userwork where affiliation_id in (${affiliations})`

/** The users who lead one of these business areas. */
export const leadersOfBusinessAreas = (areas: Ids): Ids =>
  `select leader_id from agencies_businessarea
   where id in (${areas}) and leader_id is not null`

/**
 * These users, and all users whose own page shows one of them in a chain of caretakers. A page follows
 * links five steps down to the covered users, and from each of them up to their caretakers. So the way
 * back follows links down and then up as well. Ended links count, because a page may still show them.
 */
export const usersWhoseCareShows = (users: Ids): Ids =>
  `with recursive walk (id, is_up, depth) as (
       select id, false, 0 from (${users}) as start (id)
     union
       select step.id, step.is_up, walk.depth + 1
       from walk
       cross join lateral (
           select caretaker_id, true from caretakers_caretaker where user_id = walk.id
         union all
           select user_id, false from caretakers_caretaker
           where caretaker_id = walk.id and not walk.is_up
       ) as step (id, is_up)
       where walk.depth < 5
   )
   select id from walk`

/** The users who have, or had, one of these users as caretaker. */
export const usersCoveredBy = (caretakers: Ids): Ids =>
  `select user_id from caretakers_caretaker where caretaker_id in (${caretakers})`

/** The staff profiles of these users. */
export const profilesOfUsers = (users: Ids): Ids =>
  `select id from users_publicstaffprofile where user_id in (${users})`

/** The staff profiles with one of these keyword tags. */
export const profilesWithTags = (tags: Ids): Ids =>
  `select publicstaffprofile_id from users_publicstaffprofile_keyword_tags
   where keywordtag_id in (${tags})`

/** The projects to which these documents belong, whichever project their text belongs to. */
export const projectsThatOwnDocuments = (documents: Ids): Ids =>
  `select project_id from documents_projectdocument where id in (${documents})`

/** Every user. */
export const allUsers: Ids = everyone('true')

/** The users who give animal ethics endorsements. */
export const committee: Ids = everyone('is_aec or is_superuser')

/** The users who decide for the directorate. */
const directorate: Ids = `
  ${everyone('is_superuser')} union all
  select user_id from users_userwork
  where business_area_id in (select id from agencies_businessarea where name = 'Directorate')`

/** The users for whom documents of these projects may wait. */
export const usersWhoAct = (projects: Ids): Ids =>
  anyOf(
    membersOfProjects(projects),
    leadersOfBusinessAreas(
      `select business_area_id from projects_project where id in (${projects})`,
    ),
    directorate,
  )

/** The requests to administrators that name one of these users. */
export const tasksAbout = (users: Ids): Ids =>
  `select task.id from adminoptions_admintask as task join (${users}) as named (id)
   on named.id in (task.requester_id, task.primary_user_id)
     or task.secondary_users @> to_jsonb(named.id)`

/** The requests to administrators about these projects. */
export const tasksOfProjects = (projects: Ids): Ids =>
  `select id from adminoptions_admintask where project_id in (${projects})`

/** The users who may read these requests to administrators. */
export const readersOfTasks = (tasks: Ids): Ids => `
  with task as (
    select requester_id, primary_user_id, secondary_users
    from adminoptions_admintask where id in (${tasks})
  )
  select requester_id from task where requester_id is not null
  union all select primary_user_id from task where primary_user_id is not null
  union all
    -- The column has no foreign key: values that are no lists, and elements that are no ids, are skipped.
    select element::bigint from task
    cross join lateral jsonb_array_elements_text(
      case when jsonb_typeof(secondary_users) = 'array' then secondary_users end
    ) as listed (element)
    where element ~ '^[0-9]{1,18}$'
  union all select id from users_user where is_superuser and exists (select from task)`

function everyone(condition: string): Ids {
  // The parameter must have a type, although it decides nothing.
  return `select id from users_user where (${condition}) and $1::text[] is not null`
}
