import { z } from 'zod'
import { findUser } from '../../db/queries/user.ts'
import { insertUser, requireUserCreator } from '../../db/writes/user-creation.ts'
import { privateUser, user } from '../../shared/shapes/user.ts'
import { create, type Endpoint, type WriteRequest, writeRule } from '../endpoints/index.ts'
import { addSecurityContext } from '../http/security-log.ts'
import { alsoNamed, email, reference, text, username } from './field.ts'
import { peek } from './peek.ts'

const FIELDS = {
  firstName: 'first_name',
  lastName: 'last_name',
  isStaff: 'is_staff',
  businessArea: 'business_area',
}

const newUser = alsoNamed(
  FIELDS,
  z
    .object({
      username,
      email: email.nullable().default(null),
      first_name: text(100).nullable().default(null),
      last_name: text(100).nullable().default(null),
      is_staff: z.boolean().default(false),
      affiliation: reference.nullable().default(null),
      branch: reference.nullable().default(null),
      business_area: reference.nullable().default(null),
    })
    .transform(({ affiliation, branch, business_area, email, ...columns }) => ({
      ...columns,
      // The column is unique, and many users have no address.
      email: email || null,
      affiliation_id: affiliation,
      branch_id: branch,
      business_area_id: business_area,
    })),
)

/** The part of a body that makes the user external: no flag, or false. */
const external = alsoNamed(FIELDS, z.object({ is_staff: z.literal(false).optional() }))

/** Creation of users. */
export const userCreationEndpoints: readonly Endpoint[] = [
  create('/users/list', {
    summary: 'Add a user without a password, with a place of work, a profile and contact data',
    access: writeRule({
      description: 'superusers; staff for external users',
      roles: ['staff', 'superuser'],
      enforce: (trx, { userId, sent }: WriteRequest<unknown>) =>
        requireUserCreator(trx, userId, { isExternal: peek(external, sent) !== undefined }),
    }),
    event: 'user_creation',
    body: newUser,
    answers: { 201: z.union([privateUser, user]) },
    async insert(trx, _, { req, body }) {
      const id = await insertUser(trx, body)
      addSecurityContext(req, { targetUserId: id })
      return id
    },
    location: (id) => `/users/${id}`,
    shown: async (trx, id, { granted: { isSuperuser } }) =>
      (await findUser(trx, id, isSuperuser ? 'private' : 'full'))?.body ?? null,
  }),
]
