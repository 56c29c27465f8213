import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { decideTwice } from './decide-twice.ts'
import { differsFrom, isEmpty, type Patch } from './patch.ts'
import { WriteError } from './write-error.ts'
import { requireOwner } from './staff-profile.ts'

/** The columns of a job in a CV that its owner may change. */
export type EmploymentPatch = Patch<
  'users_employmententry',
  'position_title' | 'start_year' | 'end_year' | 'section' | 'employer'
>

/** A job to be inserted. */
export type NewEmployment = EmploymentPatch & {
  readonly position_title: string
  readonly start_year: number
}

/** The columns of a qualification in a CV that its owner may change. */
export type EducationPatch = Patch<
  'users_educationentry',
  'qualification_name' | 'end_year' | 'institution' | 'location'
>

/** A qualification to be inserted. */
export type NewEducation = EducationPatch & {
  readonly qualification_name: string
  readonly end_year: number
  readonly institution: string
}

/** The key of a CV entry. */
export interface EntryKey {
  readonly kind: 'employment' | 'education'
  readonly id: string
}

/** Maximum number of entries of a kind in a profile, since its public page shows them all. */
const MAX_ENTRIES = 200

const TABLES = { employment: 'users_employmententry', education: 'users_educationentry' } as const
const THINGS = { employment: 'Employment entry', education: 'Education entry' } as const

/**
 * Locks an entry for a change by the owner of its profile or a superuser.
 * @throws WriteError like `requireOwner`.
 */
export async function lockEntry(
  trx: Transaction<Database>,
  { kind, id }: EntryKey,
  userId: string,
): Promise<void> {
  const entries = trx.selectFrom(TABLES[kind]).select('public_profile_id').where('id', '=', id)
  await decideTwice(
    async () => {
      const entry = await entries.executeTakeFirst()
      const owned = { profileId: entry?.public_profile_id, entity: `${THINGS[kind]} ${id}` }
      await requireOwner(trx, owned, userId)
    },
    () => entries.forUpdate().execute(),
  )
}

/** @throws WriteError `conflict` if a locked profile has the maximum number of entries. */
async function requireRoom(
  trx: Transaction<Database>,
  kind: EntryKey['kind'],
  profileId: string,
): Promise<void> {
  const { count } = await trx
    .selectFrom(TABLES[kind])
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('public_profile_id', '=', profileId)
    .executeTakeFirstOrThrow()
  if (Number(count) < MAX_ENTRIES) return
  throw new WriteError('conflict', `A profile has at most ${MAX_ENTRIES} ${kind} entries.`)
}

/**
 * Inserts a job into the CV of a locked profile, and returns its id.
 * @throws WriteError `conflict` if the profile has the maximum number of entries.
 */
export async function insertEmployment(
  trx: Transaction<Database>,
  profileId: string,
  { end_year = null, section = '', employer = null, ...rest }: NewEmployment,
): Promise<string> {
  await requireRoom(trx, 'employment', profileId)
  const { id } = await trx
    .insertInto('users_employmententry')
    .values({ ...rest, end_year, section, employer, public_profile_id: profileId })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/**
 * Inserts a qualification into the CV of a locked profile, and returns its id.
 * @throws WriteError `conflict` if the profile has the maximum number of entries.
 */
export async function insertEducation(
  trx: Transaction<Database>,
  profileId: string,
  { location = '', ...rest }: NewEducation,
): Promise<string> {
  await requireRoom(trx, 'education', profileId)
  const { id } = await trx
    .insertInto('users_educationentry')
    .values({ ...rest, location, public_profile_id: profileId })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Updates only the columns in the patch. */
export async function updateEntry(
  trx: Transaction<Database>,
  { kind, id }: EntryKey,
  patch: EmploymentPatch | EducationPatch,
): Promise<void> {
  if (isEmpty(patch)) return
  await trx
    .updateTable(TABLES[kind])
    .set(patch)
    .where('id', '=', id)
    .where(differsFrom(patch))
    .execute()
}

/** Deletes a CV entry. */
export async function deleteEntry(
  trx: Transaction<Database>,
  { kind, id }: EntryKey,
): Promise<void> {
  await trx.deleteFrom(TABLES[kind]).where('id', '=', id).execute()
}
