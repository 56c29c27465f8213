import { connectPlain, sessionModeProblem } from '../../db/event-log/index.ts'
import { type Finding, wrong } from '../../invalidator/index.ts'

/** Checks that a connection keeps its Postgres session. A pooler in transaction mode does not. */
export async function checkPooler(url: string, applicationName: string): Promise<Finding[]> {
  const open = () => connectPlain(url, { applicationName })
  const clients = await Promise.all([open(), open()])
  try {
    const observed = await sessionModeProblem(...clients)
    if (observed === null) return []
    return [
      wrong(
        observed,
        'session locks and LISTEN do not work through a pooler in transaction mode, so the invalidator rejects it',
        'set DATABASE_URL of the invalidator to Postgres itself, or to a pooler in session mode',
      ),
    ]
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}
