import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import type { Audience } from './audience.ts'
import { fileUrl } from './file-url.ts'
import { jsonObject } from './json-object.ts'
import { perthTime } from './perth-time.ts'
import { username } from './username.ts'

const eb = expressionBuilder<Database>()

/** Id and title of a project, for shapes that embed it. */
export interface TitledProject {
  readonly id: Expression<string>
  readonly title: Expression<string>
}

/** Returns the photo of a project, or null. */
export const tinyPhoto = (project: TitledProject, audience: Audience) =>
  jsonObjectFrom(selectPhotos(project, audience))

/** Returns the photo of a project with its size and times, or null. */
export const photo = (project: TitledProject, audience: Audience) =>
  jsonObjectFrom(
    selectPhotos(project, audience).select((row) => [
      perthTime(row.ref('photo.created_at')).as('created_at'),
      perthTime(row.ref('photo.updated_at')).as('updated_at'),
      'photo.size',
    ]),
  )

const selectPhotos = (project: TitledProject, audience: Audience) =>
  eb
    .selectFrom('medias_projectphoto as photo')
    .select((row) => [
      'photo.id',
      fileUrl(row.ref('photo.file')).as('file'),
      jsonObject({ id: project.id, title: project.title }).as('project'),
      (audience === 'user' ? username(row.ref('photo.uploader_id')) : sql`null::json`).as(
        'uploader',
      ),
    ])
    .where('photo.project_id', '=', project.id)
