import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Client, escapeIdentifier } from 'pg'
import { type Finding, wrong } from './finding.ts'

const HEARING_MS = 2_000

/**
 * Whether a session stays a session on the way to the server. A pooler that gives out transactions
 * gives the server's connection to the next who begins one: so one begins one.
 */
export async function checkPooler(url: string, applicationName: string): Promise<Finding[]> {
  const open = () =>
    new Client({
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: 10_000,
    })
  const one = open()
  const other = open()
  try {
    await Promise.all([one.connect(), other.connect()])
    const before = await backendOf(one)
    await other.query('begin')
    await backendOf(other)
    const after = await backendOf(one)
    await other.query('rollback')
    if (before === after && (await hearsItself(one))) return []
    return [
      wrong(
        before === after
          ? 'a session does not hear its own NOTIFY'
          : `one session was served by two backends, ${before} and ${after}`,
        'between here and Postgres is a pooler of transactions, through which nobody can hold a lock or listen',
        'give the invalidator an address that leads to Postgres itself, or to a pooler of sessions',
      ),
    ]
  } finally {
    await Promise.all([one.end(), other.end()])
  }
}

async function backendOf(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid
}

async function hearsItself(client: Client): Promise<boolean> {
  const channel = escapeIdentifier(`spms_doctor_${randomUUID()}`)
  const heard = once(client, 'notification', { signal: AbortSignal.timeout(HEARING_MS) }).then(
    () => true,
    () => false,
  )
  await client.query(`listen ${channel}`)
  await client.query(`notify ${channel}`)
  return heard
}
