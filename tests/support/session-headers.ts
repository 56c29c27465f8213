import { createSessions } from '../../api/session/session.ts'
import { SYSTEM_SECRET } from './system.ts'

/**
 * Returns the headers that a browser sends with a session: its cookie and its CSRF token.
 * @throws if the token is not a valid session.
 */
export async function sessionHeaders(
  token: string,
  secret = SYSTEM_SECRET,
): Promise<{ readonly Cookie: string; readonly 'X-CSRFToken': string }> {
  const sessions = createSessions([secret])
  const claim = await sessions.verify(token)
  if (claim === null) throw new Error('not a valid session')
  return { Cookie: `spms_session=${token}`, 'X-CSRFToken': sessions.csrfToken(claim) }
}
