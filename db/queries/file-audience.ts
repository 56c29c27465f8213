import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import type { Audience } from './fragments/audience.ts'
import { visibleProfiles } from './fragments/staff-profile.ts'

/**
 * Returns the readers of a file: those who may read a response that refers to it. Null if no response
 * refers to it.
 */
export async function findFileAudience(
  trx: Kysely<Database>,
  path: string,
): Promise<Audience | null> {
  const avatars = trx.selectFrom('medias_useravatar').select('user_id').where('file', '=', path)
  const photos = trx.selectFrom('medias_projectphoto').select('project_id').where('file', '=', path)
  const areaPhotos = trx
    .selectFrom('medias_businessareaphoto')
    .select('id')
    .where('file', '=', path)
  const images = trx.selectFrom('medias_agencyimage').select('id').where('file', '=', path)
  const pdfs = trx.selectFrom('medias_projectdocumentpdf').select('id').where('file', '=', path)

  // The public pages of staff show the avatar, and the photos of projects and of their business areas.
  const isOnPage = visibleProfiles(trx).select('profile.id').where('profile.user_id', 'in', avatars)
  const isOnPageOfMember = visibleProfiles(trx)
    .innerJoin('projects_projectmember as member', 'member.user_id', 'profile.user_id')
    .innerJoin('projects_project as project', 'project.id', 'member.project_id')
    .select('profile.id')
    .where('project.id', 'in', photos)
    .where(
      (row) =>
        sql<boolean>`(
          ${row.ref('member.user_id')} = any(${row.ref('project.hidden_from_staff_profiles')})
        ) is not true`,
    )
  const { rows } = await sql<{ audience: Audience | null }>`select case
    when exists ${isOnPage} or exists ${isOnPageOfMember} or exists ${areaPhotos} then 'anyone'
    when exists ${avatars} or exists ${photos} or exists ${images} or exists ${pdfs} then 'user'
  end as audience`.execute(trx)
  return rows[0]?.audience ?? null
}
