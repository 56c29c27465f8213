import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectBusinessAreas } from './fragments/business-area.ts'
import { findArray } from './text.ts'

/** Every business area, by name. */
export const findBusinessAreas = (trx: Kysely<Database>): Promise<string> =>
  findArray(trx, selectBusinessAreas('user').orderBy('area.name').orderBy('area.id'))
