import { connectPlain } from '../../db/connection.ts'
import { sessionModeProblem } from '../../db/session-mode.ts'
import { type Finding, wrong } from './finding.ts'

/** Whether a session stays a session on the way to the server. */
export async function checkPooler(url: string, applicationName: string): Promise<Finding[]> {
  const open = () => connectPlain(url, { applicationName })
  const clients = await Promise.all([open(), open()])
  try {
    const observed = await sessionModeProblem(...clients)
    if (observed === null) return []
    return [
      wrong(
        observed,
        'between here and Postgres is a pooler in transaction mode, through which nobody can hold a lock or listen: the invalidator refuses it',
        'give the invalidator an address that leads to Postgres itself, or to a pooler in session mode',
      ),
    ]
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}
