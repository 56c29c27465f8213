import { Router } from 'express'
import { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import type { Client } from '../http/client.ts'
import { sendJson } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { addSecurityContext } from '../http/security-log.ts'
import { operation } from '../openapi/operation.ts'
import { createChangePassword } from '../session/change-password.ts'
import { clearSessionCookies, setSessionCookies } from '../session/cookies.ts'
import { createLogIn } from '../session/log-in.ts'
import { createLogOut } from '../session/log-out.ts'
import type { PasswordAttempts } from '../session/password-attempts.ts'
import { SESSION_LIFETIME_S, type Sessions } from '../session/session.ts'

export interface SessionRoutesDeps extends AppDeps {
  readonly client: Client
  readonly sessions: Sessions
  readonly attempts: PasswordAttempts
  /** Iterations of new password hashes. */
  readonly iterations: number
}

const password = z.string().min(1).max(4096)
const credentials = z.object({ username: z.string().min(1).max(150), password })
const passwords = z.object({ old_password: password, new_password: password })

/** Log-in, log-out and changes of passwords. */
export function sessionRoutes(deps: SessionRoutesDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const logIn = createLogIn(deps)
  const logOut = createLogOut(deps)
  const changePassword = createChangePassword(deps)

  router
    .route('/users/log-in')
    .post(logsIn, async (req, res) => {
      const given = credentials.safeParse(req.body)
      if (!given.success) throw new PublicError('invalid', 'Username and password are required')
      const token = await logIn({
        ...given.data,
        network: deps.client.network(req),
        onFound: (targetUserId) => addSecurityContext(req, { targetUserId }),
      })
      const session = await deps.sessions.verify(token)
      if (session === null) throw new Error('a new session token is not valid')
      const csrfToken = deps.sessions.csrfToken(session)
      const cookies = { token, csrfToken, maxAgeS: SESSION_LIFETIME_S }
      setSessionCookies(res, cookies, deps.client.isSecure(req))
      sendJson(res, 200, { ok: 'Welcome' })
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/users/log-out')
    .post(logsOut, async (req, res) => {
      await deps.requireUser(req)
      // Before the revocation, so that the browser is logged out even if the revocation fails.
      clearSessionCookies(res, deps.client.isSecure(req))
      const session = await deps.findSession(req)
      if (session !== null) await logOut.one(session)
      sendJson(res, 200, { ok: 'True' })
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/users/log-out-everywhere')
    .post(logsOutEverywhere, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      clearSessionCookies(res, deps.client.isSecure(req))
      await logOut.all(userId)
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
  event: 'log_in',
  summary: 'Open a session and set its cookies',
  who: 'anyone',
  body: credentials,
  answers: { 200: z.strictObject({ ok: z.literal('Welcome') }) },
})

const logsOut = operation({
  event: 'log_out',
  summary: 'Revoke the session and delete its cookies',
  who: 'users',
  answers: { 200: z.strictObject({ ok: z.literal('True') }) },
})

const logsOutEverywhere = operation({
  event: 'log_out_everywhere',
  summary: 'Revoke all sessions of the user',
  who: 'users',
  answers: { 200: z.strictObject({ ok: z.literal('True') }) },
})

const changesPassword = operation({
  event: 'password_change',
  summary: 'Change the password and revoke all sessions of the user',
  who: 'users',
  body: passwords,
  isConditional: false,
  answers: { 200: z.strictObject({ ok: z.literal('Password changed successfully') }) },
})
