import { Router } from 'express'
import { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import type { Client } from '../http/client.ts'
import { sendJson } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { createChangePassword } from '../session/change-password.ts'
import { clearSessionCookies, setSessionCookies } from '../session/cookies.ts'
import { createLogIn } from '../session/log-in.ts'
import { createPasswordAttempts } from '../session/password-attempts.ts'
import type { Sessions } from '../session/session.ts'

export interface SessionRoutesDeps extends AppDeps {
  readonly client: Client
  readonly sessions: Sessions
}

const password = z.string().min(1).max(4096)
const credentials = z.object({ username: z.string().min(1).max(150), password })
const passwords = z.object({ old_password: password, new_password: password })

/** Logging in and out, and changing what one logs in with. */
export function sessionRoutes(deps: SessionRoutesDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const attempts = createPasswordAttempts()
  const logIn = createLogIn({ ...deps, attempts })
  const changePassword = createChangePassword({ ...deps, attempts })

  router
    .route('/users/log-in')
    .post(logsIn, async (req, res) => {
      const given = credentials.safeParse(req.body)
      if (!given.success) throw new PublicError('invalid', 'Username and password are required')
      const token = await logIn({ ...given.data, network: deps.client.network(req) })
      setSessionCookies(res, token, deps.client.isSecure(req))
      sendJson(res, 200, { ok: 'Welcome' })
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/users/log-out')
    .post(logsOut, async (req, res) => {
      await deps.requireUser(req)
      clearSessionCookies(res, deps.client.isSecure(req))
      sendJson(res, 200, { ok: 'True' })
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/users/change-password')
    .put(changesPassword, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const given = passwords.safeParse(req.body)
      if (!given.success) throw new PublicError('invalid', 'Old and new passwords are required')
      await changePassword({
        userId,
        network: deps.client.network(req),
        oldPassword: given.data.old_password,
        newPassword: given.data.new_password,
      })
      clearSessionCookies(res, deps.client.isSecure(req))
      sendJson(res, 200, { ok: 'Password changed successfully' })
    })
    .all(methodNotAllowed('PUT'))

  return router
}

const logsIn = operation({
  summary: 'Opens a session, and sets its cookies',
  who: 'anyone',
  body: credentials,
  answers: { 200: z.strictObject({ ok: z.literal('Welcome') }) },
})

const logsOut = operation({
  summary: 'Takes the cookies of the session back',
  who: 'users',
  answers: { 200: z.strictObject({ ok: z.literal('True') }) },
})

const changesPassword = operation({
  summary: 'Changes the password, and ends every session of the user',
  who: 'users',
  body: passwords,
  answers: { 200: z.strictObject({ ok: z.literal('Password changed successfully') }) },
})
