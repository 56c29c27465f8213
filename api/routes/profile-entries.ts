import { z } from 'zod'
import { type EntryKind, findEntries, findEntry } from '../../db/queries/profile-entry.ts'
import {
  deleteEntry,
  insertEducation,
  insertEmployment,
  lockEntry,
  updateEntry,
} from '../../db/writes/profile-entry.ts'
import { lockStaffProfile } from '../../db/writes/staff-profile.ts'
import { education, employment } from '../../shared/shapes/staff-profile.ts'
import {
  create,
  type Endpoint,
  get,
  idOf,
  item,
  ruleById,
  type Trx,
  user,
  type WriteRequest,
  writeRule,
} from '../endpoints/index.ts'
import { integer, text } from './field.ts'
import { PROFILE_OWNER } from './rules.ts'

interface EntryList<New extends z.ZodType, Patch extends z.ZodType> {
  readonly kind: EntryKind
  readonly path: string
  readonly entity: string
  readonly added: New
  readonly patch: Patch
  readonly shape: z.ZodType
  readonly insert: (trx: Trx, profileId: string, entry: z.output<New>) => Promise<string>
  readonly update: (trx: Trx, id: string, patch: z.output<Patch>) => Promise<void>
}

function endpointsOf<New extends z.ZodType, Patch extends z.ZodType>({
  kind,
  path,
  entity,
  added,
  patch,
  shape,
  insert,
  update,
}: EntryList<New, Patch>): readonly Endpoint[] {
  const params = { profileId: idOf('Profile') }
  return [
    get(`/users/profiles/:profileId/${path}`, {
      summary: `List ${kind} entries of a profile, newest first`,
      access: user,
      params,
      answers: { 200: z.array(shape) },
      read: (trx, { profileId }, { user }) => findEntries(trx, kind, profileId, user),
    }),
    create(`/users/profiles/:profileId/${path}`, {
      summary: `Add an ${kind} entry`,
      access: writeRule({
        ...PROFILE_OWNER,
        enforce: (trx, { params, userId }: WriteRequest<{ readonly profileId: string }>) =>
          lockStaffProfile(trx, params.profileId, userId),
      }),
      params,
      body: added,
      answers: { 201: shape },
      insert: (trx, { profileId }, { body }) => insert(trx, profileId, body),
      location: (id) => `/users/${path}/${id}`,
      shown: (trx, id) => findEntry(trx, kind, id),
    }),
    ...item(`/users/${path}/:id`, {
      entity,
      summaries: {
        get: `Get an ${kind} entry`,
        put: `Change an ${kind} entry`,
        delete: `Delete an ${kind} entry`,
      },
      access: ruleById(PROFILE_OWNER, (trx, id, userId) => lockEntry(trx, { kind, id }, userId)),
      shape,
      find: (trx, id, viewer) => findEntry(trx, kind, id, viewer),
      body: patch,
      update,
      remove: (trx, id) => deleteEntry(trx, { kind, id }),
    }),
  ]
}

// Clients also send `public_profile`, which is ignored: the path identifies the profile.
const newEmployment = z.object({
  position_title: text(200).min(1),
  start_year: integer(0),
  end_year: integer(0).nullish(),
  section: text(200).nullish(),
  employer: text(200).nullable(),
})

const newEducation = z.object({
  qualification_name: text(200).min(1),
  end_year: integer(0),
  institution: text(200).min(1),
  location: text(200).optional(),
})

/** The entries of a CV: employment and education. */
export const profileEntryEndpoints: readonly Endpoint[] = [
  ...endpointsOf({
    kind: 'employment',
    path: 'employment_entries',
    entity: 'Employment entry',
    added: newEmployment,
    patch: newEmployment.partial(),
    shape: employment,
    insert: insertEmployment,
    update: (trx, id, patch) => updateEntry(trx, { kind: 'employment', id }, patch),
  }),
  ...endpointsOf({
    kind: 'education',
    path: 'education_entries',
    entity: 'Education entry',
    added: newEducation,
    patch: newEducation.partial(),
    shape: education,
    insert: insertEducation,
    update: (trx, id, patch) => updateEntry(trx, { kind: 'education', id }, patch),
  }),
]
