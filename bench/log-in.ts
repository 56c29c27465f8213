import type { SeedSummary } from '../scripts/seed/seed.ts'

/** Logs in and returns the `Cookie` header of the session. */
export async function logIn(
  origin: string,
  { username, password }: SeedSummary['login'],
): Promise<string> {
  const response = await fetch(`${origin}/api/v1/users/log-in`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  })
  if (!response.ok) throw new Error(`POST /api/v1/users/log-in returned ${response.status}`)
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
}
