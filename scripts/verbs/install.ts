import { INSTALLER } from '../installer.ts'
import { Client } from 'pg'
import { install } from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { describeFinding } from '../../invalidator/index.ts'
import { checkPublications } from '../doctor/publications.ts'
import { checkStandbys } from '../doctor/standbys.ts'

/** Installs the event log and its triggers, or prints the SQL for it. */
export async function runInstall(
  url: string,
  { print }: { readonly print: boolean },
): Promise<void> {
  const rules = compileRules(catalog)
  if (print) {
    await install(url, rules, { ...INSTALLER, print: (sql) => console.log(sql) })
    return
  }
  const { version, tables, changed, warnings } = await install(url, rules, INSTALLER)
  for (const name of changed) console.log(`changed the triggers of ${name}`)
  for (const warning of warnings)
    console.warn(`warning: ${warning}; its resources are not cached until this is fixed`)
  console.log(`rules version ${version} on ${tables} tables, ${changed.length} changed`)
  await warnOfReplication(url)
}

/** Prints findings about subscribers and standbys that the new tables affect. */
async function warnOfReplication(url: string): Promise<void> {
  const client = new Client({ connectionString: url, application_name: 'spms-install' })
  await client.connect()
  try {
    const findings = [...(await checkPublications(client)), ...(await checkStandbys(client))]
    for (const finding of findings) console.log(describeFinding(finding))
  } finally {
    await client.end()
  }
}
