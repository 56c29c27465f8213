import { INSTALLER } from '../installer.ts'
import { uninstall } from '../../db/event-log/index.ts'
import { graceMs } from './grace.ts'

/** Removes the event log and its triggers, after the services have stopped reading from the cache. */
export async function runUninstall(url: string): Promise<void> {
  const wait = graceMs(process.env)
  console.log(`waiting up to ${wait / 1000} s until no process reads from the cache`)
  await uninstall(url, wait, INSTALLER)
  console.log('removed')
}
