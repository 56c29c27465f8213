import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { codeOf } from '../writers/transaction.ts'

const TIMES = 100
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
  for (let time = 1; ; time++) {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      if (!['53300', '57P03'].includes(codeOf(error) ?? '') || time === TIMES) throw error
      await sleep(EVERY_MS)
    }
  }
}
