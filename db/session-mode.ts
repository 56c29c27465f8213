import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type Client, escapeIdentifier } from 'pg'

const HEARING_MS = 2_000

/**
 * Whether a client has a backend of its own, which a session needs: for locks, settings and LISTEN.
 * A pooler in transaction mode lends a backend for one transaction, so that with few clients each
 * may get the same one every time. Two observations do not depend on how many there are: another
 * client must not be given the same backend, and a notification must arrive between two queries.
 *
 * Returns what was observed instead, or `null` for a session. `other` is a second connection by the
 * same way.
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

  const arrived = once(client, 'notification', { signal: AbortSignal.timeout(HEARING_MS) }).then(
    () => true,
    () => false,
  )
  await client.query(`listen ${channel}`)
  await other.query(`notify ${channel}`)
  const isSession = await arrived
  await client.query(`unlisten ${channel}`)
  return isSession ? null : 'a client did not receive a notification that it listened for'
}

async function backendOf(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')
  return rows[0]?.pid
}
