import { type Expression, type Kysely, expressionBuilder } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { jsonObject } from './fragments/json-object.ts'
import { isActive } from './fragments/project-status.ts'
import { tinyDocument } from './fragments/tiny-document.ts'
import { findJson } from './text.ts'

const eb = expressionBuilder<Database>()

/**
 * Returns the pending animal ethics endorsements of active projects. The list is empty unless the user
 * is a member of the committee or a superuser.
 */
export function findPendingEndorsements(trx: Kysely<Database>, userId: string): Promise<string> {
  const mayEndorse = eb
    .selectFrom('users_user as person')
    .select('person.id')
    .where('person.id', '=', userId)
    .where((row) => row.or([row.ref('person.is_aec'), row.ref('person.is_superuser')]))
  const pending = eb
    .selectFrom('documents_endorsement as endorsement')
    .innerJoin('documents_projectplan as plan', 'plan.id', 'endorsement.project_plan_id')
    .innerJoin('projects_project as project', 'project.id', 'plan.project_id')
    .select((row) => [
      'endorsement.id',
      projectPlan(row.ref('endorsement.project_plan_id')).as('project_plan'),
    ])
    .where('endorsement.ae_endorsement_required', '=', true)
    .where('endorsement.ae_endorsement_provided', '=', false)
    .where((row) => isActive(row.ref('project.status')))
    .where((row) => row.exists(mayEndorse))
    .orderBy('endorsement.id')
  return findJson(trx, jsonObject({ aec: jsonArrayFrom(pending) }))
}

const projectPlan = (id: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('documents_projectplan as shown')
      .select((row) => [
        'shown.id',
        tinyDocument(row.ref('shown.document_id')).as('document'),
        'shown.background',
        'shown.aims',
        'shown.outcome',
        'shown.knowledge_transfer',
        'shown.listed_references',
        'shown.operating_budget',
        'shown.operating_budget_external',
        'shown.related_projects',
      ])
      .where('shown.id', '=', id),
  )
