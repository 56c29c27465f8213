import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { decideTwice } from './decide-twice.ts'
import { changedAt, type Patch } from './patch.ts'
import { rejectReference, requireReference } from './reference.ts'
import { updateRow } from './update-row.ts'
import { WriteError } from './write-error.ts'

/** The columns of a project that its leaders may change. */
type ProjectPatch = Patch<
  'projects_project',
  | 'kind'
  | 'status'
  | 'year'
  | 'number'
  | 'title'
  | 'description'
  | 'tagline'
  | 'keywords'
  | 'start_date'
  | 'end_date'
  | 'deletion_requested'
  | 'business_area_id'
>

/** These columns, and the list of members whose staff profiles hide the project. */
type WholePatch = ProjectPatch & Patch<'projects_project', 'hidden_from_staff_profiles'>

/** A locked project, and the actor of the write. */
export interface LockedProject {
  readonly id: string
  /** Ids of the members whose staff profiles hide the project. */
  readonly hiddenFrom: readonly number[]
  readonly actor: Actor
}

/**
 * Locks a project for a change by one of its leaders or a superuser.
 * @throws WriteError `unauthenticated`, `not_found` or `forbidden`.
 */
export const lockProject = (
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<LockedProject> => lockFor(trx, projectId, userId, isLeader)

/**
 * Locks the project that a new row refers to.
 * @throws WriteError `invalid` if it does not exist.
 */
export async function lockNamedProject(
  trx: Transaction<Database>,
  projectId: string,
): Promise<void> {
  if (!(await lockProjectRow(trx, projectId))) rejectReference('project', projectId)
}

/**
 * Rejects an actor who neither leads the project in a request body nor is a superuser. If the body names
 * no project, the actor must lead at least one project. So the response does not reveal whether a project exists
 * that the actor does not lead.
 * @throws WriteError `unauthenticated` or `forbidden`.
 */
export async function requireNamedLeader(
  trx: Transaction<Database>,
  projectId: string | undefined,
  userId: string,
): Promise<void> {
  const actor = await findActor(trx, userId)
  if (actor.isSuperuser) return
  const led = await trx
    .selectFrom('projects_projectmember')
    .select('id')
    .where('user_id', '=', actor.id)
    .where('is_leader', '=', true)
    .$if(projectId !== undefined, (members) => members.where('project_id', '=', projectId ?? ''))
    .limit(1)
    .executeTakeFirst()
  requirePermission(led !== undefined)
}

/**
 * Locks a project for one of its members. A superuser must be a member, too.
 * @throws WriteError `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockProjectAsMember(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<void> {
  await lockFor(trx, projectId, userId, async (_, id, actor) => {
    return (await findMembership(trx, id, actor)) !== undefined
  })
}

function lockFor(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
  isAllowed: typeof isLeader,
): Promise<LockedProject> {
  return decideTwice(
    async () => {
      const project = await trx
        .selectFrom('projects_project')
        .select(['id', 'hidden_from_staff_profiles as hiddenFrom'])
        .where('id', '=', projectId)
        .executeTakeFirst()
      const actor = await findActor(trx, userId)
      if (!project) throw new WriteError('not_found', `Project ${projectId} not found`)
      requirePermission(await isAllowed(trx, projectId, actor))
      return { ...project, actor }
    },
    () => lockProjectRow(trx, projectId),
  )
}

/**
 * Locks the row of a project, and returns whether it exists. Every change of members takes this lock
 * before it reads the leaders. So if two leaders remove each other, only one of them succeeds.
 */
export async function lockProjectRow(
  trx: Transaction<Database>,
  projectId: string,
): Promise<boolean> {
  const project = await trx
    .selectFrom('projects_project')
    .select('id')
    .where('id', '=', projectId)
    .forUpdate()
    .executeTakeFirst()
  return project !== undefined
}

/** Whether an actor leads a project or is a superuser. */
export async function isLeader(
  trx: Transaction<Database>,
  projectId: string,
  actor: Actor,
): Promise<boolean> {
  if (actor.isSuperuser) return true
  const membership = await findMembership(trx, projectId, actor)
  return membership?.is_leader === true
}

/** Rejects an actor who is neither a member of the project nor a superuser. */
export async function requireMember(
  trx: Transaction<Database>,
  projectId: string,
  actor: Actor,
): Promise<void> {
  const membership = await findMembership(trx, projectId, actor)
  requirePermission(actor.isSuperuser || membership !== undefined)
}

const findMembership = (trx: Transaction<Database>, projectId: string, { id }: Actor) =>
  trx
    .selectFrom('projects_projectmember')
    .select('is_leader')
    .where('project_id', '=', projectId)
    .where('user_id', '=', id)
    .executeTakeFirst()

/**
 * Applies the patch of a leader or a superuser to a locked project.
 * @throws WriteError `invalid` like `updateProject`, and `forbidden` if a leader changes whether another
 * member's staff profile shows the project.
 */
export async function changeProject(
  trx: Transaction<Database>,
  { id, hiddenFrom, actor }: LockedProject,
  patch: WholePatch,
): Promise<void> {
  const sent = patch.hidden_from_staff_profiles ?? hiddenFrom
  const changed = [
    ...sent.filter((memberId) => !hiddenFrom.includes(memberId)),
    ...hiddenFrom.filter((memberId) => !sent.includes(memberId)),
  ]
  const isOwn = changed.every((memberId) => String(memberId) === actor.id)
  requirePermission(actor.isSuperuser || isOwn)
  await writeProject(trx, id, patch)
}

/**
 * Updates only the columns in the patch, like `changeProject`, but without `hidden_from_staff_profiles`
 * and without a check of rights.
 * @throws WriteError `invalid` if the business area does not exist.
 */
export const updateProject = (
  trx: Transaction<Database>,
  projectId: string,
  patch: ProjectPatch,
): Promise<void> => writeProject(trx, projectId, patch)

async function writeProject(
  trx: Transaction<Database>,
  projectId: string,
  patch: WholePatch,
): Promise<void> {
  await requireReference(trx, 'agencies_businessarea', 'business_area', patch.business_area_id)
  await updateRow(trx, 'projects_project', projectId, patch)
}

/**
 * Hides a project on a member's public staff profile, or shows it again; without `isHidden` it toggles
 * that.
 */
export async function setProjectVisibility(
  trx: Transaction<Database>,
  projectId: string,
  memberId: string,
  isHidden?: boolean,
): Promise<void> {
  const hidden = sql.ref('hidden_from_staff_profiles')
  const wasHidden = sql`${memberId}::integer = any(${hidden})`
  const becomesHidden = isHidden === undefined ? sql`not ${wasHidden}` : sql.lit(isHidden)
  await trx
    .updateTable('projects_project')
    .set({
      hidden_from_staff_profiles: sql`case
        when (${becomesHidden}) = (${wasHidden}) then ${hidden}
        when ${becomesHidden} then array_append(${hidden}, ${memberId}::integer)
        else array_remove(${hidden}, ${memberId}::integer)
      end`,
      updated_at: changedAt,
    })
    .where('id', '=', projectId)
    .execute()
}
