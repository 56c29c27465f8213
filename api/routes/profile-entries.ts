import { Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import { type EntryKind, findEntries, findEntry } from '../../db/queries/profile-entry.ts'
import type { Database } from '../../db/schema.ts'
import {
  deleteEntry,
  insertEducation,
  insertEmployment,
  lockEntry,
  updateEducation,
  updateEmployment,
} from '../../db/writes/profile-entry.ts'
import { lockStaffProfile } from '../../db/writes/staff-profile.ts'
import { transact } from '../../db/writes/transact.ts'
import { notFound } from '../../shared/errors.ts'
import { education, employment } from '../../shared/shapes/staff-profile.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { integer, text } from './field.ts'
import { written } from './written.ts'

/** The entries of a CV: employment and education. */
export function profileEntryRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  for (const list of [EMPLOYMENT, EDUCATION]) addList(router, deps, list)
  return router
}

interface EntryList {
  readonly kind: EntryKind
  readonly path: string
  readonly entity: string
  readonly insert: (trx: Transaction<Database>, profileId: string, body: unknown) => Promise<string>
  readonly update: (trx: Transaction<Database>, id: string, body: unknown) => Promise<void>
  /** Schemas of the bodies that `insert` and `update` parse, and of an entry in responses. */
  readonly shapes: {
    readonly added: z.ZodType
    readonly changed: z.ZodType
    readonly shown: z.ZodType
  }
}

function addList(router: Router, deps: AppDeps, list: EntryList): void {
  const { db, reader } = deps
  const { kind, path, entity } = list
  const operations = describe(list)

  router
    .route(`/users/profiles/:profileId/${path}`)
    .get(operations.lists, async (req, res) => {
      const profileId = parseId(req.params.profileId, 'Profile')
      const user = await deps.requireUser(req)
      sendPrivate(res, await reader.query((trx) => findEntries(trx, kind, profileId, user)))
    })
    .post(operations.adds, async (req, res) => {
      const profileId = parseId(req.params.profileId, 'Profile')
      const { userId } = await deps.requireUser(req)
      const entry = await transact(db, async (trx) => {
        await lockStaffProfile(trx, profileId, userId)
        const id = await list.insert(trx, profileId, req.body)
        return tagged(written(await findEntry(trx, kind, id)))
      })
      sendCreated(req, res, `/users/${path}/:id`, entry)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route(`/users/${path}/:id`)
    .get(operations.shows, async (req, res) => {
      const id = parseId(req.params.id, entity)
      const user = await deps.requireUser(req)
      const entry = await reader.query((trx) => findEntry(trx, kind, id, user))
      if (entry === null) throw notFound(entity, id)
      sendResource(req, res, entry)
    })
    .put(operations.changes, async (req, res) => {
      const id = parseId(req.params.id, entity)
      const { userId } = await deps.requireUser(req)
      const entry = await transact(db, async (trx) => {
        await lockEntry(trx, { kind, id }, userId)
        await requireMatch(req, () => findEntry(trx, kind, id))
        await list.update(trx, id, req.body)
        return tagged(written(await findEntry(trx, kind, id)))
      })
      sendJson(res, 200, entry)
    })
    .delete(operations.removes, async (req, res) => {
      const id = parseId(req.params.id, entity)
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockEntry(trx, { kind, id }, userId)
        await requireMatch(req, () => findEntry(trx, kind, id))
        await deleteEntry(trx, { kind, id })
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))
}

const OWNERS = 'the owner of the profile and superusers'

const describe = ({ kind, shapes: { added, changed, shown } }: EntryList) => ({
  lists: operation({
    summary: `List ${kind} entries of a profile, newest first`,
    who: 'users',
    answers: { 200: z.array(shown) },
  }),
  adds: operation({
    summary: `Add an ${kind} entry`,
    who: OWNERS,
    body: added,
    answers: { 201: shown },
  }),
  shows: operation({ summary: `Get an ${kind} entry`, who: 'users', answers: { 200: shown } }),
  changes: operation({
    summary: `Change an ${kind} entry`,
    who: OWNERS,
    body: changed,
    answers: { 200: shown },
  }),
  removes: operation({ summary: `Delete an ${kind} entry`, who: OWNERS, answers: { 204: null } }),
})

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

const employmentPatch = newEmployment.partial()
const educationPatch = newEducation.partial()

const EMPLOYMENT: EntryList = {
  kind: 'employment',
  path: 'employment_entries',
  entity: 'Employment entry',
  insert: (trx, profileId, body) => insertEmployment(trx, profileId, parse(newEmployment, body)),
  update: (trx, id, body) => updateEmployment(trx, id, parse(employmentPatch, body)),
  shapes: { added: newEmployment, changed: employmentPatch, shown: employment },
}

const EDUCATION: EntryList = {
  kind: 'education',
  path: 'education_entries',
  entity: 'Education entry',
  insert: (trx, profileId, body) => insertEducation(trx, profileId, parse(newEducation, body)),
  update: (trx, id, body) => updateEducation(trx, id, parse(educationPatch, body)),
  shapes: { added: newEducation, changed: educationPatch, shown: education },
}
