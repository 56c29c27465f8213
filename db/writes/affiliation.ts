import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { insertRow } from './insert-row.ts'
import { changedAt } from './patch.ts'
import { rejectReference } from './reference.ts'
import { WriteError } from './write-error.ts'
import { sqlStateOf } from './transact.ts'
import { rejectDuplicate } from './unique.ts'
import { updateRow } from './update-row.ts'

/** Maximum number of affiliations. Every user may add one, and the cached list contains all. */
export const MAX_AFFILIATIONS = 10_000

/**
 * Inserts an affiliation and returns its id.
 * @throws WriteError `conflict` if the name is taken or there are too many affiliations.
 */
export async function insertAffiliation(trx: Transaction<Database>, name: string): Promise<string> {
  const { count } = await trx
    .selectFrom('agencies_affiliation')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) >= MAX_AFFILIATIONS) {
    throw new WriteError('conflict', `There are at most ${MAX_AFFILIATIONS} affiliations.`)
  }
  return insertRow(trx, 'agencies_affiliation', { name }).catch(rejectDuplicate('name'))
}

/**
 * Renames a locked affiliation, also in the lists of names that projects store.
 * @throws WriteError `conflict` if the name is taken or too long for one of these lists.
 */
export async function renameAffiliation(
  trx: Transaction<Database>,
  id: string,
  name: string,
): Promise<void> {
  const before = await findName(trx, id)
  if (before === name) return
  await updateRow(trx, 'agencies_affiliation', id, { name }).catch(rejectDuplicate('name'))
  await replaceInProjects(trx, [before], name)
}

/** Deletes a locked affiliation, and removes it from users and from the lists of projects. */
export async function deleteAffiliation(trx: Transaction<Database>, id: string): Promise<void> {
  await replaceInProjects(trx, [await findName(trx, id)], null)
  await trx
    .updateTable('users_userwork')
    .set({ affiliation_id: null })
    .where('affiliation_id', '=', id)
    .execute()
  await trx.deleteFrom('agencies_affiliation').where('id', '=', id).execute()
}

/** The affiliations to merge. */
export interface AffiliationMerge {
  readonly primaryId: string
  readonly secondaryIds: readonly string[]
}

/**
 * Replaces affiliations by another one, for users and in the lists of projects, and deletes them.
 * @throws WriteError `invalid` if one does not exist, `conflict` if the name is too long for a list.
 */
export async function mergeAffiliations(
  trx: Transaction<Database>,
  { primaryId, secondaryIds }: AffiliationMerge,
): Promise<void> {
  const affiliations = await trx
    .selectFrom('agencies_affiliation')
    .select(['id', 'name'])
    .where('id', 'in', [primaryId, ...secondaryIds])
    .orderBy('id')
    .forUpdate()
    .execute()
  const find = (field: string, id: string) =>
    affiliations.find((affiliation) => affiliation.id === id) ?? rejectReference(field, id)
  const primary = find('primaryAffiliation', primaryId)
  const merged = secondaryIds
    .filter((id) => id !== primaryId)
    .map((id) => find('secondaryAffiliations', id))
  if (merged.length === 0) return

  const ids = merged.map(({ id }) => id)
  await trx
    .updateTable('users_userwork')
    .set({ affiliation_id: primaryId, updated_at: changedAt })
    .where('affiliation_id', 'in', ids)
    .execute()
  await replaceInProjects(
    trx,
    merged.map(({ name }) => name),
    primary.name,
  )
  await trx.deleteFrom('agencies_affiliation').where('id', 'in', ids).execute()
}

/** The result of a clean-up of affiliations. */
export interface AffiliationCleanUp {
  /** Names of the deleted affiliations, sorted. */
  readonly deleted: readonly string[]
  /** Number of affiliations before the clean-up. */
  readonly total: number
}

/** Deletes the affiliations that no user has and no project lists. */
export async function deleteOrphanedAffiliations(
  trx: Transaction<Database>,
): Promise<AffiliationCleanUp> {
  const all = await trx
    .selectFrom('agencies_affiliation')
    .select('id')
    .orderBy('id')
    .forUpdate()
    .execute()
  // A separate statement, so that its snapshot includes the writes for which the locks waited.
  const { rows } = await sql<{ name: string }>`
    delete from agencies_affiliation as affiliation
    where not exists (select from users_userwork where affiliation_id = affiliation.id)
      and name collate "C" not in (
        select btrim(listed) from projects_studentprojectdetails
        cross join unnest(string_to_array(organisation collate "C", '; ')) as listed
        union all
        select btrim(listed) from projects_externalprojectdetails
        cross join unnest(string_to_array(collaboration_with collate "C", '; ')) as listed
      )
    returning name
  `.execute(trx)
  return { deleted: rows.map(({ name }) => name).toSorted(), total: all.length }
}

async function findName(trx: Transaction<Database>, id: string): Promise<string> {
  const { name } = await trx
    .selectFrom('agencies_affiliation')
    .select('name')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return name
}

/** Columns in which projects list names of affiliations, separated by "; ". */
const LISTS = [
  ['projects_studentprojectdetails', 'organisation'],
  ['projects_externalprojectdetails', 'collaboration_with'],
] as const

/** Replaces names in the lists by another name or removes them; keeps the first of equal names. */
async function replaceInProjects(
  trx: Transaction<Database>,
  names: readonly string[],
  replacement: string | null,
): Promise<void> {
  for (const [table, column] of LISTS) {
    const list = sql.ref(column)
    const listed = sql`(
      select btrim(part) as name, position
      from unnest(string_to_array(${list} collate "C", '; ')) with ordinality as parts (part, position)
    ) as listed`
    await sql`
      update ${sql.table(table)} set ${list} = (
        select coalesce(string_agg(name, '; ' order by position), '')
        from (
          select
            case when name = any(${names}::text[]) then ${replacement}::text else name end as name,
            min(position) as position
          from ${listed} group by 1
        ) as replaced
        where name <> ''
      )
      where exists (select from ${listed} where name = any(${names}::text[]))
    `
      .execute(trx)
      .catch(rejectLongList)
  }
}

function rejectLongList(error: unknown): never {
  if (sqlStateOf(error) !== '22001') throw error
  const message = 'With this name the list of a project would become too long.'
  throw new WriteError('conflict', message, { fields: { name: [message] }, cause: error })
}
