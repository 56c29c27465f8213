import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectCaretakerRelations } from './fragments/caretaker-relation.ts'
import type { Viewer } from './fragments/viewer.ts'
import { findArray, findObject } from './text.ts'

/** Who acts, or acted, for whom. */
export const findCaretakerRelations = (trx: Kysely<Database>, viewer: Viewer): Promise<string> =>
  findArray(trx, selectCaretakerRelations(viewer).orderBy('relation.id'))

/** One of these relations, or null. */
export const findCaretakerRelation = (
  trx: Kysely<Database>,
  id: string,
  viewer: Viewer,
): Promise<string | null> =>
  findObject(trx, selectCaretakerRelations(viewer).where('relation.id', '=', id))
