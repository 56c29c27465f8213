import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { codeOf } from '../writers/transaction.ts'

/** Longer than crash recovery takes after a minute of writes on a busy machine. */
const RECOVERY_MS = 60_000
const EVERY_MS = 100

/** Runs `work` with a new connection, and closes it. */
export async function onPostgres<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect(url)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/**
 * Connects. Retries while Postgres recovers or has too many clients: a connection that it is about
 * to reject occupies a slot, even one that is reserved for superusers.
 */
export async function connect(url: string): Promise<Client> {
  const giveUpAtMs = performance.now() + RECOVERY_MS
  for (;;) {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      // Without a code, the server ended the connection before it answered: it recovers or stops.
      const code = codeOf(error)
      const mayPass = code === undefined || ['53300', '57P03'].includes(code)
      // The driver's error has no stack of its caller.
      if (!mayPass || performance.now() > giveUpAtMs)
        throw new Error('no connection', { cause: error })
      await sleep(EVERY_MS)
    }
  }
}
