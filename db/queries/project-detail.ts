import type { Kysely } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { documentStates } from './fragments/document-states.ts'
import { jsonObject } from './fragments/json-object.ts'
import { selectProjects } from './fragments/project.ts'
import { projectDetails } from './fragments/project-details.ts'
import { caretakersLastMs, projectMembers } from './fragments/project-members.ts'
import { jsonText } from './fragments/json-text.ts'

export interface ProjectDetail {
  readonly body: string
  /** Time until a member's caretaker expires, in milliseconds; undefined if none does. */
  readonly expiresInMs?: number
}

/** Returns all data for the pages of a project, or null. */
export async function findProjectDetail(
  trx: Kysely<Database>,
  id: string,
): Promise<ProjectDetail | null> {
  const found = await trx
    .selectFrom('projects_project as project')
    .where('project.id', '=', id)
    .select((row) => {
      const project = {
        id: row.ref('project.id'),
        title: row.ref('project.title'),
        kind: row.ref('project.kind'),
      }
      const body = jsonObject({
        project: jsonObjectFrom(selectProjects().where('project.id', '=', id)),
        details: projectDetails(project),
        documents: documentStates(project.id),
        members: projectMembers(project),
      })
      return [jsonText(body).as('body'), caretakersLastMs(project.id).as('lastsMs')]
    })
    .executeTakeFirst()
  if (!found) return null
  const { body, lastsMs } = found
  return { body, ...(lastsMs !== null && { expiresInMs: lastsMs }) }
}
