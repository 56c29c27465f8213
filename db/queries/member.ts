import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectTinyMembers } from './fragments/tiny-member.ts'
import { findArray, findObject } from './text.ts'

/** Returns a user's membership in a project, or null. */
export const findMember = (
  trx: Kysely<Database>,
  projectId: string,
  userId: string,
): Promise<string | null> =>
  findObject(
    trx,
    selectTinyMembers()
      .where('member.project_id', '=', projectId)
      .where('member.user_id', '=', userId),
  )

/** Returns the members of a project, in the order that its leader chose. */
export const findTeam = (trx: Kysely<Database>, projectId: string): Promise<string> =>
  findArray(
    trx,
    selectTinyMembers()
      .where('member.project_id', '=', projectId)
      .orderBy('member.position')
      .orderBy('member.id'),
  )

/** Returns the leader of a project, or null; the first if there are several. */
export const findLeader = (trx: Kysely<Database>, projectId: string): Promise<string | null> =>
  findObject(
    trx,
    selectTinyMembers()
      .where('member.project_id', '=', projectId)
      .where('member.is_leader', '=', true)
      .orderBy('member.id')
      .limit(1),
  )
