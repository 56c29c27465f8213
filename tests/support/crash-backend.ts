import { Client } from 'pg'
import { until } from './until.ts'

/** Kills one backend with SIGKILL. Postgres then terminates all others and runs crash recovery. */
export async function crashBackend(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  let isGone = false
  client.on('error', () => (isGone = true))
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  process.kill(rows[0]?.pid ?? 0, 'SIGKILL')
  await until(() => isGone)
}
