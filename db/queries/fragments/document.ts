import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { fileUrl } from './file-url.ts'
import { perthTime } from './perth-time.ts'
import { tinyProject } from './tiny-project.ts'

const eb = expressionBuilder<Database>()

/** Selects every document of projects, without its text; callers add conditions. */
export const selectDocuments = () =>
  eb
    .selectFrom('documents_projectdocument as document')
    .select((row) => [
      'document.id',
      perthTime(row.ref('document.created_at')).as('created_at'),
      perthTime(row.ref('document.updated_at')).as('updated_at'),
      'document.creator_id as creator',
      'document.modifier_id as modifier',
      'document.kind',
      'document.status',
      tinyProject(row.ref('document.project_id')).as('project'),
      'document.project_lead_approval_granted',
      'document.business_area_lead_approval_granted',
      'document.directorate_approval_granted',
      pdf(row.ref('document.id')).as('pdf'),
      'document.pdf_generation_in_progress',
    ])

const pdf = (documentId: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('medias_projectdocumentpdf as pdf')
      .select((row) => [
        'pdf.id',
        fileUrl(row.ref('pdf.file')).as('file'),
        'pdf.document_id as document',
        'pdf.project_id as project',
      ])
      .where('pdf.document_id', '=', documentId),
  )
