import { uninstall } from '../../db/event-log/install.ts'

/** Removes every trace of the event log. */
export async function runUninstall(url: string): Promise<void> {
  await uninstall(url)
  console.log('removed')
}
