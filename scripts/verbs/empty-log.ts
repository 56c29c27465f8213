import { INSTALLER } from '../installer.ts'
import { emptyLog } from '../../db/event-log/index.ts'

/** Empties the event log while no invalidator runs. The next invalidator flushes every resource. */
export async function runEmptyLog(url: string): Promise<void> {
  console.log(`${await emptyLog(url, INSTALLER)} events removed`)
}
