import { type RequestHandler, Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import { isEmailTaken, isNameTaken, isUsernameTaken } from '../../db/queries/user-exists.ts'
import type { Database } from '../../db/schema.ts'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { parse } from '../parse.ts'
import { atMost, storable } from './field.ts'
import { parameter } from './parameter.ts'
import { queryAs } from './query-as.ts'

/** Parses a query or a body, and returns a function that runs the check. */
type Check = (sent: unknown) => (trx: Transaction<Database>) => Promise<boolean>

/**
 * Checks whether an e-mail address or a name is taken. They require a log-in, so that strangers cannot
 * find out who has an account. Clients may use POST to keep personal data out of access logs.
 */
export function userExistsRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  for (const { path, summary, sent, check } of CHECKS) {
    const described = {
      summary,
      who: 'users',
      answers: { 200: z.strictObject({ exists: z.boolean() }) },
    }
    router
      .route(`/users/${path}`)
      .get(
        operation({ ...described, query: sent }),
        answer(check, (req) => req.query),
      )
      .post(
        operation({ ...described, body: sent }),
        answer(check, (req) => req.body),
      )
      .all(methodNotAllowed('GET', 'POST'))
  }

  return router

  function answer(
    check: Check,
    sent: (req: Parameters<RequestHandler>[0]) => unknown,
  ): RequestHandler {
    return async (req, res) => {
      const exists = await queryAs(deps, req, (trx) => check(sent(req))(trx))
      sendPrivate(res, { exists })
    }
  }
}

const searchedText = parameter(storable.trim().check(atMost(254)).optional())
const emailQuery = z.object({ email: searchedText })
const nameQuery = z.object({
  username: searchedText,
  first_name: searchedText,
  last_name: searchedText,
})

const checkEmail: Check = (sent) => {
  const { email } = parse(emailQuery, sent)
  if (!email) throw missing('email is required')
  return (trx) => isEmailTaken(trx, email)
}

const checkName: Check = (sent) => {
  const { username, first_name: first, last_name: last } = parse(nameQuery, sent)
  if (username) return (trx) => isUsernameTaken(trx, username)
  if (!first || !last) throw missing('username, or first_name and last_name, is required')
  return (trx) => isNameTaken(trx, first, last)
}

const CHECKS = [
  {
    path: 'check-email-exists',
    summary: 'Check whether a user has an e-mail address',
    sent: emailQuery,
    check: checkEmail,
  },
  {
    path: 'check-name-exists',
    summary: 'Check whether a user has a user name, or a first and a last name',
    sent: nameQuery,
    check: checkName,
  },
] as const

const missing = (error: string) => new PublicError('invalid', error, { fields: { error } })
