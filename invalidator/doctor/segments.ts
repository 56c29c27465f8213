import { type Client, findLoggedSegments } from '../../db/event-log/index.ts'
import type { ExaminedApplication } from './application.ts'
import { type Finding, wrong } from './finding.ts'

/** Finds segments of the event log that were made logged tables. */
export async function checkSegments(
  client: Client,
  { installCommand }: Pick<ExaminedApplication, 'installCommand'>,
): Promise<Finding[]> {
  const logged = await findLoggedSegments(client)
  if (logged.length === 0) return []
  return [
    wrong(
      `${logged.join(', ')} ${logged.length === 1 ? 'is not' : 'are not'} unlogged`,
      'each watched change writes its event to the WAL and to standbys, without a benefit',
      installCommand,
    ),
  ]
}
