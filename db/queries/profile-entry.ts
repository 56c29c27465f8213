import { type Expression, type Kysely, type SqlBool, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { selectEducation, selectEmployment } from './fragments/profile-entry.ts'
import { profilesSeenBy, type Viewer } from './fragments/staff-profile.ts'
import { findArray, findObject } from './text.ts'

/** The two lists of a CV. */
export type EntryKind = 'employment' | 'education'

const eb = expressionBuilder<Database>()

/** Returns the CV entries of a profile, the latest first; none if the viewer may not see the profile. */
export const findEntries = (
  trx: Kysely<Database>,
  kind: EntryKind,
  profileId: string,
  viewer: Viewer,
): Promise<string> =>
  findArray(
    trx,
    select(
      kind,
      eb.and([sql<boolean>`entry.public_profile_id = ${profileId}`, isSeenBy(trx, viewer)]),
    ),
  )

/** Returns one CV entry, or null; also null if a viewer is given who may not see the profile. */
export const findEntry = (
  trx: Kysely<Database>,
  kind: EntryKind,
  id: string,
  viewer?: Viewer,
): Promise<string | null> =>
  findObject(
    trx,
    select(
      kind,
      eb.and([sql<boolean>`entry.id = ${id}`, ...(viewer ? [isSeenBy(trx, viewer)] : [])]),
    ),
  )

const select = (kind: EntryKind, condition: Expression<SqlBool>) =>
  kind === 'employment'
    ? selectEmployment().where(() => condition)
    : selectEducation().where(() => condition)

const isSeenBy = (trx: Kysely<Database>, viewer: Viewer) =>
  eb.exists(
    profilesSeenBy(trx, viewer)
      .select('profile.id')
      .where('profile.id', '=', sql.ref<string>('entry.public_profile_id')),
  )
