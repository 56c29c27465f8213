import { Client } from 'pg'
import { install } from '../../db/event-log/install.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'
import { describeFinding } from '../doctor/finding.ts'
import { checkPublications } from '../doctor/publications.ts'
import { checkStandbys } from '../doctor/standbys.ts'

/** Adds the event log and its triggers, or prints the SQL that would. */
export async function runInstall(
  url: string,
  { print }: { readonly print: boolean },
): Promise<void> {
  const rules = compileRules(catalog)
  if (print) {
    await install(url, rules, { print: (sql) => console.log(sql) })
    return
  }
  const { version, tables, changed, warnings } = await install(url, rules)
  for (const name of changed) console.log(name)
  for (const warning of warnings) console.warn(`warning: ${warning}; not cached until that ends`)
  console.log(`rules version ${version} on ${tables} tables, ${changed.length} changed`)
  await warnOfReplication(url)
}

/** Prints what replicates this database, and stops or is disturbed by the new tables. */
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
