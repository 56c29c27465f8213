/** SQL that selects the ids of entries, by resource; `''` for a resource with one entry. */
export type Entries = Readonly<Partial<Record<Resource, string>>>

/** Names of all cached resources. */
export type Resource =
  | 'staff:list'
  | 'staff:profile'
  | 'staff:projects'
  | 'user:projects'
  | 'user:profile'
  | 'user:me'
  | 'user:list'
  | 'user:access'
  | 'user:by_email'
  | 'project:detail'
  | 'project:stats'
  | 'agency:branches'
  | 'agency:business_areas'
  | 'agency:affiliations'
  | 'location:areas'

/** A row of the reverse map: a change by SQL, and the entries that it must invalidate. */
export interface Change {
  readonly what: string
  readonly sql: string
  /** Entries whose answers change. The queries run before and after the change. */
  readonly stale: Entries
  /** Entries that are also invalidated although their answers stay the same, and the reason. */
  readonly coarser?: { readonly because: string; readonly stale: Entries }
}

/** Selects the entry of a resource with one entry. */
export const ONLY = ''

/** Returns changes that have the same effect. */
export const each = (
  statements: Readonly<Record<string, string>>,
  effect: Omit<Change, 'what' | 'sql'>,
): Change[] => Object.entries(statements).map(([what, sql]) => ({ what, sql, ...effect }))

/** Returns SQL that selects these ids. */
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
 * Returns SQL that selects the users whose page shows one of these users. A page shows its user and
 * chains of at most five caretaker relations: first from caretaker to covered user, then to caretakers.
 *
 * The query follows the chains from every page, in the direction in which pages are built.
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

/** Returns the entries for users that show these business areas. */
export const holdersOf = (areas: string): Entries => ({
  'agency:business_areas': ONLY,
  'user:list': ONLY,
  'project:detail': projectsOf(areas),
  'user:projects': membersOf(projectsOf(areas)),
  'user:profile': workersOf(areas),
  'user:me': workersOf(areas),
})

/** Returns the same entries and the public ones. */
export const allHoldersOf = (areas: string): Entries => ({
  ...holdersOf(areas),
  'staff:projects': membersOf(projectsOf(areas)),
})

/** Returns the project lists of these users, internal and public. */
export const listsOf = (users: string): Entries => ({
  'user:projects': users,
  'staff:projects': users,
})

/** Returns the entries of these users as seen by others and by themselves. */
export const pagesOf = (users: string): Entries => ({ 'user:profile': users, 'user:me': users })

/** Returns the same entries and the list of all users. */
export const pagesAndListOf = (users: string): Entries => ({
  ...pagesOf(users),
  'user:list': ONLY,
})

/** Returns the union of these entries. */
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
