import { INSTALLER } from '../installer.ts'
import { retireOthers } from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { graceMs } from './grace.ts'

/** Stops watching the columns that only other builds need. This is the last step of a rolling deploy. */
export async function runRetire(url: string): Promise<void> {
  const wait = graceMs(process.env)
  const { retired, changed } = await retireOthers(url, compileRules(catalog), wait, INSTALLER)
  for (const name of changed) console.log(name)
  console.log(`${retired} other builds retired, ${changed.length} tables changed`)
}
