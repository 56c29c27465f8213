import { type Transaction, type Updateable, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor } from './actor.ts'
import { changedAt, differsFrom, isEmpty, type Patch } from './patch.ts'
import { isLeader, lockProjectRow } from './project.ts'
import { rejectReference, requireReference } from './reference.ts'
import { WriteError } from './write-error.ts'
import { rejectDuplicate } from './unique.ts'
import { keepUsers } from './user-locks.ts'

/** Tables with further data of projects, and the columns that project leaders may write. */
interface Parts {
  readonly projects_projectarea: Patch<'projects_projectarea', 'areas'>
  readonly projects_projectdetail: Patch<
    'projects_projectdetail',
    | 'creator_id'
    | 'modifier_id'
    | 'owner_id'
    | 'data_custodian_id'
    | 'site_custodian_id'
    | 'service_id'
    | 'old_output_program_id'
  >
  readonly projects_studentprojectdetails: Patch<
    'projects_studentprojectdetails',
    'level' | 'organisation'
  >
  readonly projects_externalprojectdetails: Patch<
    'projects_externalprojectdetails',
    'collaboration_with' | 'budget' | 'description' | 'aims'
  >
}

export type PartTable = keyof Parts

/** The columns of such a row to update. */
export type PartPatch<T extends PartTable> = Parts[T]

/** The key of such a row. */
export interface PartKey {
  readonly table: PartTable
  readonly id: string
  /** Name of the entity in error messages. */
  readonly entity: string
}

/** Locks the users that a row will refer to against deletion. Call it before the project is locked. */
export async function keepNamedUsers(
  trx: Transaction<Database>,
  columns: PartPatch<PartTable>,
): Promise<void> {
  const users = referencesIn(columns).filter(({ table }) => table === 'users_user')
  await keepUsers(
    trx,
    users.map(({ id }) => id),
  )
}

/**
 * Returns the project of such a row, for one of the project's leaders or a superuser.
 * @throws WriteError `unauthenticated`, or `not_found`, also if the actor does not lead the project.
 */
export async function requirePart(
  trx: Transaction<Database>,
  { table, id, entity }: PartKey,
  userId: string,
): Promise<string> {
  const part = await trx
    .selectFrom(table)
    .select('project_id')
    .where('id', '=', id)
    .executeTakeFirst()
  const actor = await findActor(trx, userId)
  if (part && (await isLeader(trx, part.project_id, actor))) return part.project_id
  throw new WriteError('not_found', `${entity} ${id} not found`)
}

/**
 * Locks such a row after its project. Until then the row may be deleted, or moved to another project.
 * @throws WriteError `not_found` if the row does not belong to the project.
 */
export async function lockPart(
  trx: Transaction<Database>,
  { table, id, entity }: PartKey,
  projectId: string,
): Promise<void> {
  await lockProjectRow(trx, projectId)
  const part = await trx
    .selectFrom(table)
    .select('project_id')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (part?.project_id !== projectId) throw new WriteError('not_found', `${entity} ${id} not found`)
}

/**
 * Inserts such a row for a locked project, and returns its id. Other properties than columns are ignored.
 * @throws WriteError `invalid` if a referenced row does not exist, `conflict` if the project already has
 * the only row that it may have.
 */
export async function insertPart<T extends PartTable>(
  trx: Transaction<Database>,
  table: T,
  projectId: string,
  part: PartPatch<T>,
): Promise<string> {
  await requireReferences(trx, part)
  const sent = Object.entries(part).filter(
    ([column, value]) => column in DEFAULTS[table] && value !== undefined,
  )
  const { id } = await trx
    .insertInto<PartTable>(table)
    .values({
      ...DEFAULTS[table],
      ...Object.fromEntries(sent),
      project_id: projectId,
      ...(STAMPED.has(table) && { created_at: changedAt, updated_at: changedAt }),
    })
    .returning('id')
    .executeTakeFirstOrThrow()
    .catch(rejectDuplicate('project'))
  return id
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `invalid` if a referenced row does not exist.
 */
export async function updatePart<T extends PartTable>(
  trx: Transaction<Database>,
  table: T,
  id: string,
  patch: PartPatch<T>,
): Promise<void> {
  if (isEmpty({ ...patch })) return
  await requireReferences(trx, patch)
  const columns = { ...patch, ...(STAMPED.has(table) && { updated_at: changedAt }) }
  await trx
    .updateTable<PartTable>(table)
    .set(columns as Updateable<Database[PartTable]>)
    .where('id', '=', id)
    .where(differsFrom({ ...patch }))
    .execute()
}

/** Deletes such a row. */
export async function deletePart(
  trx: Transaction<Database>,
  table: PartTable,
  id: string,
): Promise<void> {
  await trx.deleteFrom(table).where('id', '=', id).execute()
}

/** Defaults for every column, since databases that Django created have none. */
const DEFAULTS: { readonly [T in PartTable]: Required<Parts[T]> } = {
  projects_projectarea: { areas: [] },
  projects_projectdetail: {
    creator_id: null,
    modifier_id: null,
    owner_id: null,
    data_custodian_id: null,
    site_custodian_id: null,
    service_id: null,
    old_output_program_id: null,
  },
  projects_studentprojectdetails: { level: 'phd', organisation: null },
  projects_externalprojectdetails: {
    collaboration_with: null,
    budget: null,
    description: null,
    aims: null,
  },
}

const STAMPED: ReadonlySet<PartTable> = new Set(['projects_projectarea', 'projects_projectdetail'])

const REFERENCES = {
  creator_id: 'users_user',
  modifier_id: 'users_user',
  owner_id: 'users_user',
  data_custodian_id: 'users_user',
  site_custodian_id: 'users_user',
  service_id: 'agencies_departmentalservice',
} as const

function referencesIn(columns: Readonly<Record<string, unknown>>) {
  return Object.entries(REFERENCES).flatMap(([column, table]) => {
    const id = columns[column]
    if (typeof id !== 'string' && typeof id !== 'number') return []
    return [{ table, field: column.replace(/_id$/, ''), id: String(id) }]
  })
}

async function requireReferences(
  trx: Transaction<Database>,
  columns: Readonly<Record<string, unknown>>,
): Promise<void> {
  for (const { table, field, id } of referencesIn(columns)) {
    await requireReference(trx, table, field, id)
  }
  if (Array.isArray(columns.areas)) await requireAreas(trx, columns.areas)
}

/**
 * Checks that areas exist. They are referenced without a foreign key; reads skip areas that were deleted
 * later.
 * @throws WriteError `invalid` with the name of the field.
 */
export async function requireAreas(
  trx: Transaction<Database>,
  ids: readonly unknown[],
  field = 'areas',
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select id from unnest(${ids}::bigint[]) as wanted(id)
    where not exists (select from locations_area as area where area.id = wanted.id)
    limit 1`.execute(trx)
  if (rows[0]) rejectReference(field, rows[0].id)
}
