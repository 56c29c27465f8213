import { Client } from 'pg'
import { until } from './until.ts'

/** Ends one backend as a fault in it does, which makes Postgres end all others and recover by itself. */
export async function crashBackend(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  let isGone = false
  client.on('error', () => (isGone = true))
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  process.kill(rows[0]?.pid ?? 0, 'SIGKILL')
  await until(() => isGone)
}
