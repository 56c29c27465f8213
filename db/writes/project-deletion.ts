import { type Transaction, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'

const eb = expressionBuilder<Database>()

/** Deletes a locked project and everything that belongs to it. */
export async function deleteProject(trx: Transaction<Database>, projectId: string): Promise<void> {
  await deleteDocuments(trx, projectId)
  for (const table of PARTS) {
    await trx.deleteFrom(table).where('project_id', '=', projectId).execute()
  }
  await trx.deleteFrom('projects_project').where('id', '=', projectId).execute()
}

const PARTS = [
  'medias_projectphoto',
  'projects_studentprojectdetails',
  'projects_externalprojectdetails',
  'projects_projectmember',
  'projects_projectarea',
  'projects_projectdetail',
  'adminoptions_admintask',
] as const

async function deleteDocuments(trx: Transaction<Database>, projectId: string): Promise<void> {
  const documents = eb
    .selectFrom('documents_projectdocument')
    .select('id')
    .where('project_id', '=', projectId)
  const comments = eb
    .selectFrom('communications_comment')
    .select('id')
    .where('document_id', 'in', documents)
  // A text refers to a project and to a document, which may belong to another project.
  const isOfProject = sql<boolean>`(project_id = ${projectId} or document_id in ${documents})`
  const plans = eb.selectFrom('documents_projectplan').select('id').where(isOfProject)
  const endorsements = eb
    .selectFrom('documents_endorsement')
    .select('id')
    .where('project_plan_id', 'in', plans)

  await trx.deleteFrom('communications_reaction').where('comment_id', 'in', comments).execute()
  await trx.deleteFrom('communications_comment').where('document_id', 'in', documents).execute()
  await trx
    .deleteFrom('medias_aecendorsementpdf')
    .where('endorsement_id', 'in', endorsements)
    .execute()
  await trx.deleteFrom('documents_endorsement').where('project_plan_id', 'in', plans).execute()
  await trx
    .deleteFrom('medias_projectplanmethodologyphoto')
    .where('project_plan_id', 'in', plans)
    .execute()
  for (const table of TEXTS) {
    await trx.deleteFrom(table).where(isOfProject).execute()
  }
  await trx.deleteFrom('documents_projectdocument').where('project_id', '=', projectId).execute()
}

const TEXTS = [
  'documents_conceptplan',
  'documents_projectplan',
  'documents_progressreport',
  'documents_studentreport',
  'documents_projectclosure',
  'medias_projectdocumentpdf',
] as const
