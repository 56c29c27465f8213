import { type Expression, expressionBuilder, type Selectable, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { jsonObject } from './json-object.ts'

const eb = expressionBuilder<Database>()

/** Returns the status of each document of a project. Ids are those of the rows with the text. */
export const documentStates = (projectId: Expression<string>) =>
  jsonObject({
    concept_plan: newest('documents_conceptplan', projectId),
    project_plan: newest('documents_projectplan', projectId),
    progress_reports: jsonArrayFrom(
      states('documents_progressreport', projectId)
        .orderBy('text.year', 'desc')
        .orderBy('text.id', 'desc'),
    ),
    student_reports: jsonArrayFrom(
      states('documents_studentreport', projectId).orderBy('text.id', 'desc'),
    ),
    project_closure: newest('documents_projectclosure', projectId),
  })

type TextTable =
  | 'documents_conceptplan'
  | 'documents_projectplan'
  | 'documents_progressreport'
  | 'documents_studentreport'
  | 'documents_projectclosure'

type Text = Selectable<
  Pick<Database['documents_progressreport'], 'id' | 'document_id' | 'project_id' | 'year'>
>

const states = (table: TextTable, projectId: Expression<string>) =>
  eb
    .selectFrom(sql<Text>`${sql.table(table)}`.as('text'))
    .innerJoin('documents_projectdocument as document', 'document.id', 'text.document_id')
    .select(['text.id', 'document.status'])
    .where('text.project_id', '=', projectId)

// Normally there is one; if there are several, the newest counts.
const newest = (table: TextTable, projectId: Expression<string>) =>
  jsonObjectFrom(states(table, projectId).orderBy('text.id', 'desc').limit(1))
