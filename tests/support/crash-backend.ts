import { Client } from 'pg'
import { until } from './until.ts'

/**
 * Kills one backend with SIGKILL. Postgres then terminates all others and runs crash recovery.
 * Waits until Postgres has terminated another one: until then it still accepts connections.
 */
export async function crashBackend(url: string): Promise<void> {
  const [victim, other] = [await watch(url), await watch(url)]
  const { rows } = await victim.client.query<{ pid: number }>('select pg_backend_pid() as pid')
  process.kill(rows[0]?.pid ?? 0, 'SIGKILL')
  await until(() => victim.isGone() && other.isGone())
}

async function watch(url: string) {
  const client = new Client({ connectionString: url })
  let isGone = false
  client.on('error', () => (isGone = true))
  await client.connect()
  return { client, isGone: () => isGone }
}
