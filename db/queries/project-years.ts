import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { jsonText } from './fragments/json-text.ts'

/** Returns the years of all projects, newest first. */
export async function findProjectYears(trx: Kysely<Database>): Promise<string> {
  const years = trx.selectFrom('projects_project').select('year').distinct().orderBy('year', 'desc')
  const { body } = await trx
    .selectNoFrom(jsonText(sql`to_json(array(${years}))`).as('body'))
    .executeTakeFirstOrThrow()
  return body
}
