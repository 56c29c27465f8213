import { uninstall } from '../../db/event-log/uninstall.ts'
import { graceMs } from './grace.ts'

/** Removes every trace of the event log, after those who rely on it have been told. */
export async function runUninstall(url: string): Promise<void> {
  const wait = graceMs(process.env)
  console.log(`waiting up to ${wait / 1000} s, so that nothing is read from the cache any more`)
  await uninstall(url, wait)
  console.log('removed')
}
