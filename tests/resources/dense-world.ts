import { readFile } from 'node:fs/promises'
import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { SESSION_REVOCATION } from '../../db/session-revocation.ts'
import {
  affiliations,
  areas,
  branches,
  businessAreas,
  createUserAccess,
  createUserByEmail,
  projectDetail,
  projectStatistics,
  staffList,
  staffProfile,
  staffProjects,
  userByEmailParams,
  userList,
  userListVariants,
  userMe,
  userProfile,
  userProjects,
  userTasks,
} from '../../shared/resources/index.ts'
import { sessionKeys } from '../../shared/session-key.ts'
import type { Example } from '../support/closure.ts'
import type { Resource } from '../../shared/resources/cache.ts'

const FILE = new URL('dense-world.sql', import.meta.url)
const SECRETS = ['a secret of thirty-two characters']

// The last id of each list does not exist: an insert must invalidate the entry of a missing row.
const USERS = ['1', '2', '3', '4', '5', '1001']
const PROJECTS = ['231', '232', '233', '234', '1231']
const PROFILES = ['181', '182', '183', '185', '1181']

/** Every resource, with all its entries in the dense world. */
export const worldEntries: readonly { resource: Resource; examples: readonly Example[] }[] = [
  {
    resource: staffList,
    examples: ['page=1', ...['141', '142', '143'].map((id) => `business_area=${id};page=1`)].map(
      (variant) => ({ params: {}, variant }),
    ),
  },
  {
    resource: staffProfile,
    examples: [
      ...PROFILES.map((profile_id) => ({ params: { profile_id }, variant: 'full' })),
      ...['hero', 'overview', 'cv'].map((variant) => ({
        params: { profile_id: '181' },
        variant,
      })),
    ],
  },
  { resource: staffProjects, examples: ofUsers('rows') },
  { resource: userProjects, examples: [...ofUsers('mine'), ...ofUsers('rows')] },
  { resource: userProfile, examples: [...ofUsers('full'), ...ofUsers('private', ['1', '3'])] },
  // Most of its rules are those of `userProfile`, which has an example for every user.
  { resource: userMe, examples: ofUsers('full', ['1', '2', '1001']) },
  {
    resource: userTasks,
    // By role: members and leaders, the committee, superusers, the directorate, and a missing user.
    examples: [
      ...ofUsers('documents', ['1', '2', '3', '5', '1001']),
      ...ofUsers('endorsements', ['1', '2', '3']),
      ...ofUsers('requests', ['1', '3', '4']),
    ],
  },
  {
    resource: userList,
    // Later pages of these filters are empty.
    examples: [...userListVariants]
      .filter((variant) => variant.includes('page=1&'))
      .map((variant) => ({ params: {}, variant })),
  },
  {
    resource: projectDetail,
    examples: PROJECTS.map((project_id) => ({ params: { project_id }, variant: 'full' })),
  },
  { resource: projectStatistics, examples: [{ params: {}, variant: 'all' }] },
  { resource: branches, examples: [{ params: {}, variant: 'all' }] },
  { resource: businessAreas, examples: [{ params: {}, variant: 'all' }] },
  { resource: affiliations, examples: [{ params: {}, variant: 'all' }] },
  {
    resource: areas,
    examples: ['all', 'dbcaregion', 'nrm'].map((variant) => ({ params: {}, variant })),
  },
  {
    resource: createUserAccess(SECRETS),
    examples: sessionKeys(SECRETS).flatMap(({ id }) => ofUsers(id)),
  },
  {
    resource: createUserByEmail(SECRETS),
    examples: ['ada', 'ben', 'unknown'].map((name) => ({
      params: userByEmailParams(`${name}@spms.test`),
      variant: sessionKeys(SECRETS)[0]?.id ?? '',
    })),
  },
]

/** Runs only if the event log is installed, because it creates the table. */
const REVOCATIONS = `
  insert into ${SESSION_REVOCATION} (user_id, session_id, expires_at)
  values (1, 'one', '2030-01-01'), (1, 'two', '2030-01-01'), (2, null, null), (3, null, null)`

/** Fills an empty database with the dense world. */
export async function buildDenseWorld(db: Kysely<Database>): Promise<void> {
  await sql.raw(await readFile(FILE, 'utf8')).execute(db)
  const { rows } = await sql<{
    found: string | null
  }>`select to_regclass(${SESSION_REVOCATION}) as found`.execute(db)
  if (rows.some(({ found }) => found !== null)) await sql.raw(REVOCATIONS).execute(db)
}

function ofUsers(variant: string, users = USERS): Example[] {
  return users.map((user_id) => ({ params: { user_id }, variant }))
}
