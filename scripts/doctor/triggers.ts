import type { Client } from 'pg'
import { createInspection } from '../../db/event-log/installation.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type Finding, wrong } from './finding.ts'

/** Whether every trigger is whole, and reports what this build wants to hear. */
export async function checkTriggers(client: Client): Promise<Finding[]> {
  const inspect = createInspection()
  const installation = await inspect(client)
  const damaged = new Map([...installation.tables].filter(([, { isWhole }]) => !isWhole))
  const unheard = compileRules(catalog).tables.filter(
    (table) => !damaged.has(table.name) && !installation.reports(table),
  )
  return [
    ...[...damaged.keys()].map((name) =>
      wrong(
        `the triggers on ${name} are missing, disabled or changed`,
        'changes of the table may pass unseen, so what shows it is not cached',
        'npm run spms -- install',
      ),
    ),
    ...unheard.map(({ name }) =>
      wrong(
        `the triggers on ${name} were not installed for this build`,
        'they do not report all that it needs, so what shows the table is not cached',
        'npm run spms -- install',
      ),
    ),
  ]
}
