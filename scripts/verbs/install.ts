import { install } from '../../db/event-log/install.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'

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
  const { version, tables, changed } = await install(url, rules)
  for (const name of changed) console.log(name)
  console.log(`rules version ${version} on ${tables} tables, ${changed.length} changed`)
}
