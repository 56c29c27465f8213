import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type Client, escapeIdentifier } from 'pg'

const NOTIFICATION_TIMEOUT_MS = 2_000

/**
 * Checks whether a client has its own backend, which session locks, settings and LISTEN require. A
 * pooler in transaction mode assigns a backend for one transaction, and with few clients each may get
 * the same one every time. Three checks do not depend on the number of clients: another client gets
 * another backend, this client keeps its own, and a notification arrives between two queries.
 *
 * Returns a description of the failed check, or `null` for a session. `other` is a second connection
 * to the same address.
 */
export async function sessionModeProblem(client: Client, other: Client): Promise<string | null> {
  const channel = escapeIdentifier(`session_check_${randomUUID()}`)
  const first = await backendOf(client)
  await other.query('begin')
  const second = await backendOf(other)
  if (first === second) {
    await other.query('rollback')
    return `backend ${first} served two clients at once`
  }
  const again = await backendOf(client)
  await other.query('rollback')
  if (first !== again) return `one client was served by two backends, ${first} and ${again}`

  const timeout = { signal: AbortSignal.timeout(NOTIFICATION_TIMEOUT_MS) }
  const arrived = once(client, 'notification', timeout).then(
    () => true,
    () => false,
  )
  await client.query(`listen ${channel}`)
  await other.query(`notify ${channel}`)
  const isSession = await arrived
  await client.query(`unlisten ${channel}`)
  return isSession ? null : 'a client did not receive a notification on a channel it listens to'
}

async function backendOf(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')
  return rows[0]?.pid
}
