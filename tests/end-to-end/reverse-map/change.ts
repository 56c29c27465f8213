/** Entries by resource, as SQL that finds their ids; `''` for the only entry of a resource. */
export type Entries = Readonly<Partial<Record<Resource, string>>>

/** The names of all cached resources, so that none is misspelt in the tables. */
export type Resource =
  | 'staff:list'
  | 'staff:profile'
  | 'staff:projects'
  | 'user:projects'
  | 'user:profile'
  | 'user:me'
  | 'user:access'
  | 'user:by_email'
  | 'project:detail'
  | 'project:stats'
  | 'agency:branches'
  | 'agency:business_areas'
  | 'agency:affiliations'
  | 'location:areas'

/** One row of the reverse map: a change by SQL, and what it is to be seen in. */
export interface Change {
  readonly what: string
  readonly sql: string
  /** Whose answers it changes. What is found before and after the change counts alike. */
  readonly stale: Entries
  /** What is forgotten too although it answers the same as before, and why that is well. */
  readonly coarser?: { readonly because: string; readonly stale: Entries }
}

/** The only entry of a resource. */
export const ONLY = ''

/** What needs no row of its own in the tables: many changes with the same effect. */
export const each = (
  statements: Readonly<Record<string, string>>,
  effect: Omit<Change, 'what' | 'sql'>,
): Change[] => Object.entries(statements).map(([what, sql]) => ({ what, sql, ...effect }))

/** These ids, written out. */
export const ids = (...all: readonly number[]) => `select unnest(array[${all.join()}])`

export const either = (...queries: readonly string[]) => queries.join(' union ')

export const membersOf = (projects: string) =>
  `select member.user_id from projects_projectmember member where member.project_id in (${projects})`

export const projectsWith = (members: string) =>
  `select member.project_id from projects_projectmember member where member.user_id in (${members})`

const projectsOf = (areas: string) =>
  `select project.id from projects_project project where project.business_area_id in (${areas})`

export const workersOf = (areas: string) =>
  `select work.user_id from users_userwork work where work.business_area_id in (${areas})`

export const leadersOf = (areas: string) =>
  `select area.leader_id from agencies_businessarea area where area.id in (${areas})`

export const areasOf = (divisions: string) =>
  `select area.id from agencies_businessarea area where area.division_id in (${divisions})`

export const profilesOf = (users: string) =>
  `select profile.id from users_publicstaffprofile profile where profile.user_id in (${users})`

/**
 * Whose own page shows one of these users: themselves, and everybody from whom a chain leads to
 * them, of at most five links, first down to whom one acts for and then up to who acts.
 *
 * Walked from every page towards the user, which is the way that the pages are made, and not back.
 */
export const usersShownBy = (users: string) => `
  select distinct page from (
    with recursive shown (page, person, is_up, depth) as (
        select id, id, false, 0 from users_user
      union
        select page, case when goes_up then caretaker_id else user_id end, goes_up, depth + 1
        from shown
        cross join (values (true), (false)) as way (goes_up)
        join caretakers_caretaker care
          on case when goes_up then care.user_id else care.caretaker_id end = person
        where depth < 5 and (goes_up or not is_up) and (end_date is null or end_date > now())
    )
    select page, person from shown
  ) as pages where person in (${users})`

/** Everything that shows the business areas as users see them. */
export const holdersOf = (areas: string): Entries => ({
  'agency:business_areas': ONLY,
  'project:detail': projectsOf(areas),
  'user:projects': membersOf(projectsOf(areas)),
  'user:profile': workersOf(areas),
  'user:me': workersOf(areas),
})

/** The same, and what everybody may see. */
export const allHoldersOf = (areas: string): Entries => ({
  ...holdersOf(areas),
  'staff:projects': membersOf(projectsOf(areas)),
})

/** Lists of projects, as oneself and others see them. */
export const listsOf = (users: string): Entries => ({
  'user:projects': users,
  'staff:projects': users,
})

/** A user as others and as they see themselves. */
export const pagesOf = (users: string): Entries => ({ 'user:profile': users, 'user:me': users })

/** What is stale by one of these. */
export function together(...all: readonly Entries[]): Entries {
  const merged: Partial<Record<Resource, string>> = {}
  for (const entries of all) {
    for (const [name, query] of Object.entries(entries) as [Resource, string][]) {
      const known = merged[name]
      merged[name] = known === undefined ? query : query === ONLY ? ONLY : either(known, query)
    }
  }
  return merged
}
