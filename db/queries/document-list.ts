import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { contains } from './fragments/contains.ts'
import { selectDocuments } from './fragments/document.ts'
import { listed } from './fragments/listed.ts'
import { type Page, type PageOptions, findPageById } from './text.ts'

/** Conditions for documents; missing ones do not apply. */
export interface DocumentFilter {
  /** Part of the kind, or of the title or description of the project. */
  readonly searchTerm?: string | undefined
  readonly kind?: string | undefined
  readonly status?: string | undefined
  /** Id of the project. */
  readonly project?: string | undefined
  /** Year of the project. */
  readonly year?: number | undefined
}

/** Returns a page of the documents of all projects, newest first. */
export const findDocumentPage = (
  trx: Kysely<Database>,
  filter: DocumentFilter,
  page: PageOptions,
): Promise<Page> =>
  findPageById(
    trx,
    'documents',
    idsOf(filter),
    (ids) =>
      selectDocuments()
        .innerJoin(listed(ids), 'listed.id', 'document.id')
        .orderBy('listed.position'),
    page,
  )

const newestFirst = expressionBuilder<Database>()
  .selectFrom('documents_projectdocument as document')
  .innerJoin('projects_project as project', 'project.id', 'document.project_id')
  .select('document.id')
  .orderBy('document.created_at', 'desc')
  .orderBy('document.id', 'desc')

function idsOf({ searchTerm, kind, status, project, year }: DocumentFilter) {
  let found = newestFirst
  if (searchTerm !== undefined) {
    found = found.where((row) =>
      row.or([
        contains(row.ref('project.title'), searchTerm),
        contains(row.ref('project.description'), searchTerm),
        contains(row.ref('document.kind'), searchTerm),
      ]),
    )
  }
  if (kind !== undefined) found = found.where('document.kind', '=', kind)
  if (status !== undefined) found = found.where('document.status', '=', status)
  if (project !== undefined) found = found.where('document.project_id', '=', project)
  if (year !== undefined) found = found.where('project.year', '=', year)
  return found
}
