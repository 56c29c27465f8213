import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { codeOf } from '../writers/transaction.ts'

const TIMES = 50
const EVERY_MS = 100

/** Works with a connection of the checker's own, and closes it. */
export async function onPostgres<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect(url)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/**
 * Connects, and tries again while there are too many clients. Attempts that are refused in the end hold a slot until
 * then, also one of those that are reserved for superusers.
 */
export async function connect(url: string): Promise<Client> {
  for (let time = 1; ; time++) {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      if (codeOf(error) !== '53300' || time === TIMES) throw error
      await sleep(EVERY_MS)
    }
  }
}
