import { readStatus } from '../../db/event-log/status.ts'
import { maskUrl } from '../mask-url.ts'
import type { Discovered } from '../servers/discover.ts'

/** Prints what is installed, and how far behind it is. */
export async function runStatus({ databaseUrl }: Discovered): Promise<void> {
  console.log(maskUrl(databaseUrl))
  console.dir(await readStatus(databaseUrl), { depth: null })
}
