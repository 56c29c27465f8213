import { z } from 'zod'
import {
  findCaretakerRequests,
  findOutgoingCaretakerRequests,
} from '../../db/queries/admin-tasks.ts'
import { findCaretakerCheck } from '../../db/queries/caretaker-relations.ts'
import { findCaretakerDocuments } from '../../db/queries/pending-documents.ts'
import { notFound, PublicError } from '../../shared/errors.ts'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { caretakerCheck } from '../../shared/shapes/caretaker-relation.ts'
import { caretakerDocuments } from '../../shared/shapes/pending-documents.ts'
import { type Endpoint, get, idOf, readRule, user } from '../endpoints/index.ts'
import { reference } from './field.ts'
import { parameter } from './parameter.ts'

const requestQuery = z.object({ user_id: parameter(reference.optional()) })
const NO_USER = 'user_id query parameter is required'

/** @throws PublicError `invalid` without a user. */
function userIn({ user_id }: z.output<typeof requestQuery>): string {
  if (user_id !== undefined) return user_id
  throw new PublicError('invalid', NO_USER, { fields: { error: NO_USER } })
}

/** Reads of caretakers and requests for them. */
export const caretakerReadEndpoints: readonly Endpoint[] = [
  get('/caretakers/check', {
    summary: 'Get the caretaker of the user, and pending requests for and by the user',
    access: user,
    answers: { 200: caretakerCheck },
    read: (trx, _, { user }) => findCaretakerCheck(trx, user),
  }),
  get('/caretakers/requests', {
    summary:
      'List the pending requests that a user become a caretaker, as far as the viewer may read them',
    access: user,
    query: requestQuery,
    answers: { 200: z.array(adminTask) },
    read: async (trx, _, { query, user }) => findCaretakerRequests(trx, userIn(query), user),
  }),
  get('/caretakers/requests/outgoing', {
    summary:
      'List the pending requests for a caretaker of a user, as far as the viewer may read them',
    access: user,
    query: requestQuery,
    answers: { 200: z.array(adminTask) },
    read: async (trx, _, { query, user }) =>
      findOutgoingCaretakerRequests(trx, userIn(query), user),
  }),
  get('/caretakers/tasks/:id', {
    summary: 'List the pending documents of the users for whom a user is caretaker',
    access: readRule({
      description: 'the user and superusers',
      roles: ['owner', 'superuser'],
      enforce({ userId, isSuperuser }, { id }: { readonly id: string }) {
        // 404 instead of 403: the response must not reveal whether the user exists.
        if (!isSuperuser && userId !== id) throw notFound('User', id)
      },
    }),
    params: { id: idOf('User') },
    answers: { 200: caretakerDocuments },
    read: (trx, { id }) => findCaretakerDocuments(trx, id),
  }),
]
