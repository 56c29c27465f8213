import { type Expression, type Kysely, sql } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { coveredUser } from './fragments/covered-user.ts'
import { isClosed } from './fragments/project-status.ts'
import { hasNotEnded } from './fragments/has-not-ended.ts'
import { selectTinyDocuments } from './fragments/tiny-document.ts'
import { findJson } from './text.ts'

/**
 * Returns the documents that wait for a user, grouped by the user's role, and a list of all of them.
 * Empty for a user without a place of work.
 */
export function findPendingDocuments(trx: Kysely<Database>, userId: string): Promise<string> {
  const awaited = sql`select user_id from users_userwork where user_id = ${userId}`
  const isDirectorate = sql<boolean>`exists (${directorate(sql`select user_id from awaited`)})`
  return findJson(trx, pendingDocuments({ awaited, isDirectorate, show: selectTinyDocuments() }))
}

/**
 * Returns the documents that wait for the users that a user covers, directly or through others. Each
 * has `for_user`, which is null for documents of the directorate. Those are omitted if the user decides
 * for the directorate, since the user's own list contains them.
 */
export function findCaretakerDocuments(trx: Kysely<Database>, userId: string): Promise<string> {
  const awaited = sql`
    with recursive covered(user_id) as (
      select user_id from caretakers_caretaker
      where caretaker_id = ${userId} and ${hasNotEnded(sql.ref('end_date'))}
      union
      select relation.user_id
      from covered join caretakers_caretaker as relation on relation.caretaker_id = covered.user_id
      where ${hasNotEnded(sql.ref('relation.end_date'))}
    )
    select user_id from covered where user_id <> ${userId}`
  const isDirectorate = sql<boolean>`exists (${directorate(sql`select user_id from awaited`)})
    and not exists (${directorate(sql`select ${userId}::bigint`)})`
  const show = selectTinyDocuments().select(
    coveredUser(sql.ref<string | null>('pending.user_id')).as('for_user'),
  )
  return findJson(trx, pendingDocuments({ awaited, isDirectorate, show }))
}

interface Pending {
  /** Query for the ids of the users for whom the documents wait. */
  readonly awaited: Expression<unknown>
  /** Whether to include documents that wait for the directorate. */
  readonly isDirectorate: Expression<boolean>
  readonly show: ReturnType<typeof selectTinyDocuments>
}

// Selects those of the users who decide for the directorate.
const directorate = (users: Expression<unknown>) => sql`
  select from users_user as person
  left join users_userwork as work on work.user_id = person.id
  left join agencies_businessarea as area on area.id = work.business_area_id
  where person.id in (${users}) and (person.is_superuser or area.name = 'Directorate')`

const isOpen = sql<boolean>`not ${isClosed(sql.ref('project.status'))}`

// Each list contains a document once, for the first of the users for whom it waits. The list of all
// documents prefers the role with the lowest rank.
const pendingDocuments = ({ awaited, isDirectorate, show }: Pending) => sql`(
  with awaited as materialized (${awaited}),
  unfinished as materialized (
    select document.*, project.business_area_id, ${isOpen} as is_open
    from documents_projectdocument as document
    join projects_project as project on project.id = document.project_id
    where document.status <> 'approved'
  ),
  task as materialized (
    select 1 as rank, 'directorate' as part, id as document_id, null::bigint as user_id
    from unfinished
    where is_open and business_area_lead_approval_granted and not directorate_approval_granted
      and ${isDirectorate}
    union all
    select 2, 'ba', unfinished.id, awaited.user_id
    from awaited
    join agencies_businessarea as area on area.leader_id = awaited.user_id
    join unfinished on unfinished.business_area_id = area.id
    where is_open and project_lead_approval_granted and not business_area_lead_approval_granted
    union all
    select case when is_leader then 3 else 4 end, case when is_leader then 'lead' else 'team' end,
      unfinished.id, awaited.user_id
    from awaited
    join projects_projectmember as member on member.user_id = awaited.user_id
    join unfinished on unfinished.project_id = member.project_id
    where not project_lead_approval_granted and (is_open or not is_leader)
  ),
  listed as materialized (
    (select distinct on (part, document_id) part, document_id, user_id
      from task order by part, document_id, user_id)
    union all
    (select distinct on (document_id) 'all', document_id, user_id
      from task order by document_id, rank, user_id)
  ),
  shown as materialized (
    select document_id, user_id, ${document(show)} as body
    from (select distinct document_id, user_id from listed) as pending
  ),
  list as (
    select part, json_agg(body order by document_id) as documents
    from listed join shown using (document_id)
    where listed.user_id is not distinct from shown.user_id
    group by part
  )
  select to_json(obj) from (
    select ${sql.join(['all', 'team', 'lead', 'ba', 'directorate'].map(part))}
  ) as obj
)`

const document = (show: Pending['show']) =>
  jsonObjectFrom(show.where('document.id', '=', sql.ref<string>('pending.document_id')))

const part = (name: string) => sql`coalesce(
  (select documents from list where part = ${sql.lit(name)}), '[]'
) as ${sql.id(name)}`
