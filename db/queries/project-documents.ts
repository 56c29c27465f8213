import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectDocuments } from './fragments/document.ts'
import { findArray } from './text.ts'

/** Returns the documents of a project, newest first. */
export const findProjectDocuments = (trx: Kysely<Database>, projectId: string): Promise<string> =>
  findArray(
    trx,
    selectDocuments()
      .where('document.project_id', '=', projectId)
      .orderBy('document.created_at', 'desc')
      .orderBy('document.id', 'desc'),
  )
