import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectProjects } from './fragments/project.ts'
import { findObject } from './text.ts'

/** Returns a project in the full shape for users, or null. */
export const findProject = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectProjects().where('project.id', '=', id))
