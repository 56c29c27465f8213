import { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import { anyone, type Endpoint, handle, user } from '../endpoints/index.ts'
import type { Client } from '../http/client.ts'
import { sendJson } from '../http/json.ts'
import { addSecurityContext } from '../http/security-log.ts'
import { createChangePassword } from '../session/change-password.ts'
import { clearSessionCookies, setSessionCookies } from '../session/cookies.ts'
import { createLogIn } from '../session/log-in.ts'
import { createLogOut } from '../session/log-out.ts'
import type { PasswordAttempts } from '../session/password-attempts.ts'
import { SESSION_LIFETIME_S, type Sessions } from '../session/session.ts'

export interface SessionEndpointsDeps extends AppDeps {
  readonly client: Client
  readonly sessions: Sessions
  readonly attempts: PasswordAttempts
  /** Iterations of new password hashes. */
  readonly iterations: number
}

const password = z.string().min(1).max(4096)
/** Longest user name or e-mail address. */
const MAX_NAME = 254
const credentials = z.object({ username: z.string().min(1).max(MAX_NAME), password })
const passwords = z.object({ old_password: password, new_password: password })

/** Log-in, log-out and changes of passwords. */
export function sessionEndpoints(deps: SessionEndpointsDeps): readonly Endpoint[] {
  const { client, sessions } = deps
  const logIn = createLogIn(deps)
  const logOut = createLogOut(deps)
  const changePassword = createChangePassword(deps)

  return [
    handle('post', '/users/log-in', {
      summary: 'Open a session by user name or e-mail address and set its cookies',
      access: anyone,
      event: 'log_in',
      body: credentials,
      answers: { 200: z.strictObject({ ok: z.literal('Welcome') }) },
      async handle(req, res) {
        const given = credentials.safeParse(req.body)
        if (!given.success) throw new PublicError('invalid', 'Username and password are required')
        const token = await logIn({
          ...given.data,
          network: client.network(req),
          onFound: (targetUserId) => addSecurityContext(req, { targetUserId }),
        })
        const session = await sessions.verify(token)
        if (session === null) throw new Error('a new session token is not valid')
        const csrfToken = sessions.csrfToken(session)
        const cookies = { token, csrfToken, maxAgeS: SESSION_LIFETIME_S }
        setSessionCookies(res, cookies, client.isSecure(req))
        sendJson(res, 200, { ok: 'Welcome' })
      },
    }),
    handle('post', '/users/log-out', {
      summary: 'Revoke the session and delete its cookies',
      access: user,
      event: 'log_out',
      answers: { 200: z.strictObject({ ok: z.literal('True') }) },
      async handle(req, res) {
        // Before the revocation, so that the browser is logged out even if the revocation fails.
        clearSessionCookies(res, client.isSecure(req))
        const session = await deps.findSession(req)
        if (session !== null) await logOut.one(session)
        sendJson(res, 200, { ok: 'True' })
      },
    }),
    handle('post', '/users/log-out-everywhere', {
      summary: 'Revoke all sessions of the user',
      access: user,
      event: 'log_out_everywhere',
      answers: { 200: z.strictObject({ ok: z.literal('True') }) },
      async handle(req, res, { user }) {
        clearSessionCookies(res, client.isSecure(req))
        await logOut.all(user.userId)
        sendJson(res, 200, { ok: 'True' })
      },
    }),
    handle('put', '/users/change-password', {
      summary: 'Change the password and revoke all sessions of the user',
      access: user,
      event: 'password_change',
      body: passwords,
      answers: { 200: z.strictObject({ ok: z.literal('Password changed successfully') }) },
      async handle(req, res, { user }) {
        const given = passwords.safeParse(req.body)
        if (!given.success) throw new PublicError('invalid', 'Old and new passwords are required')
        await changePassword({
          userId: user.userId,
          network: client.network(req),
          oldPassword: given.data.old_password,
          newPassword: given.data.new_password,
        })
        clearSessionCookies(res, client.isSecure(req))
        sendJson(res, 200, { ok: 'Password changed successfully' })
      },
    }),
  ]
}
