import { expect } from 'chai'
import { parseCookie } from 'cookie'
import { ADMIN_USERNAME, DEVELOPMENT_PASSWORD } from '../../scripts/seed/people.ts'

/** Headers that a browser sends after a log-in. */
export interface SessionHeaders extends Record<string, string> {
  readonly Cookie: string
  readonly 'X-CSRFToken': string
}

/** Logs a user in at the API of this address. By default the user is the administrator of the seed. */
export async function logIn(
  address: string | undefined,
  username = ADMIN_USERNAME,
  password = DEVELOPMENT_PASSWORD,
): Promise<SessionHeaders> {
  const response = await fetch(`${address}/api/v1/users/log-in`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  })
  await response.arrayBuffer()
  expect(response.status).to.equal(200)
  const pairs = response.headers.getSetCookie().map((cookie) => cookie.split(';')[0])
  const cookies = parseCookie(pairs.join('; '))
  return { Cookie: pairs.join('; '), 'X-CSRFToken': cookies['spmscsrf'] ?? '' }
}
