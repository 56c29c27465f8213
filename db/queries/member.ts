import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { selectTinyMembers } from './fragments/tiny-member.ts'
import { findArray, findObject } from './text.ts'

/** A user's part in a project (S.TinyMember), or null. */
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

/** Everybody on a project (S.TinyMember), in the order that its leader gave them. */
export const findTeam = (trx: Kysely<Database>, projectId: string): Promise<string> =>
  findArray(
    trx,
    selectTinyMembers()
      .where('member.project_id', '=', projectId)
      .orderBy('member.position')
      .orderBy('member.id'),
  )

/** Who leads a project (S.TinyMember), or null; of several the one who came first. */
export const findLeader = (trx: Kysely<Database>, projectId: string): Promise<string | null> =>
  findObject(
    trx,
    selectTinyMembers()
      .where('member.project_id', '=', projectId)
      .where('member.is_leader', '=', true)
      .orderBy('member.id')
      .limit(1),
  )
