import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { affiliation } from './affiliation.ts'
import { hasNotEnded } from './has-not-ended.ts'
import { jsonObject } from './json-object.ts'

const eb = expressionBuilder<Database>()

interface Project {
  readonly id: Expression<string>
  readonly kind: Expression<string | null>
}

/** Returns the members of a project in order with their caretakers; null without members. */
export const projectMembers = (project: Project) => {
  const members = eb
    .selectFrom('projects_projectmember as member')
    .select((row) => [
      user(row.ref('member.user_id')).as('user'),
      jsonObject({ id: project.id, kind: project.kind }).as('project'),
      'member.role',
      'member.is_leader',
      'member.position',
    ])
    .where('member.project_id', '=', project.id)
    .orderBy('member.position')
    .orderBy('member.id')
  return sql`(select json_agg(member) from ${members} as member)`
}

const user = (id: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('users_user as person')
      .leftJoin('users_userprofile as profile', 'profile.user_id', 'person.id')
      .leftJoin('users_userwork as work', 'work.user_id', 'person.id')
      .select((row) => [
        'person.id',
        'person.display_first_name',
        'person.display_last_name',
        'person.email',
        'person.is_active',
        'person.is_staff',
        'profile.title',
        affiliation(row.ref('work.affiliation_id')).as('affiliation'),
        caretakers(row.ref('person.id')).as('caretakers'),
      ])
      .where('person.id', '=', id),
  )

const caretakers = (userId: Expression<string>) =>
  jsonArrayFrom(
    eb
      .selectFrom('caretakers_caretaker as cover')
      .innerJoin('users_user as caretaker', 'caretaker.id', 'cover.caretaker_id')
      .select([
        'caretaker.id',
        'caretaker.display_first_name',
        'caretaker.display_last_name',
        'caretaker.email',
      ])
      .where('cover.user_id', '=', userId)
      .where((row) => hasNotEnded(row.ref('cover.end_date')))
      .orderBy('cover.id'),
  )

/** Time until the next caretaker of a project's members expires, in milliseconds; null if none does. */
export const caretakersLastMs = (projectId: Expression<string>) =>
  eb
    .selectFrom('projects_projectmember as member')
    .innerJoin('caretakers_caretaker as cover', 'cover.user_id', 'member.user_id')
    // Converts each end date to a number first: Postgres 14 to 16 cannot subtract from infinity.
    .select((row) =>
      sql<number | null>`floor(1000 * (
        min(extract(epoch from ${row.ref('cover.end_date')})) - extract(epoch from now())
      ))::float8`.as('ms'),
    )
    .where('member.project_id', '=', projectId)
    .where('cover.end_date', '>', sql<Date>`now()`)
