import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import { Client } from 'pg'
import type { Database } from '../../db/schema.ts'

/**
 * Opens a session that plans each statement only once. Concurrent queries are sent together and belong to the same
 * transaction. For tests that run the same queries thousands of times, where planning and waiting would take most of
 * the time.
 */
export async function openPrepared(url: string): Promise<Transaction<Database>> {
  const client = new Client({
    connectionString: url,
    options: '-c plan_cache_mode=force_generic_plan',
    pipeline: true,
  })
  await client.connect()
  const names = new Map<string, string>()
  const nameOf = (text: string) => {
    const name = names.get(text) ?? createHash('sha1').update(text).digest('hex')
    names.set(text, name)
    return name
  }
  const run = client.query.bind(client)
  const { stream } = client.connection
  let isCollecting = false
  const query = (text: string, values: unknown[] = []) => {
    if (!isCollecting) {
      isCollecting = true
      stream.cork()
      setImmediate(() => {
        isCollecting = false
        stream.uncork()
      })
    }
    return run({ name: nameOf(text), text, values })
  }
  const session = Object.assign(client, { query, release: () => {} })
  const pool = { connect: async () => session, end: () => client.end() }
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }) as Transaction<Database>
}
