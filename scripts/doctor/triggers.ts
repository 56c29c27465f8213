import type { Client } from 'pg'
import { createInspection } from '../../db/event-log/installation.ts'
import type { Cause, Problem } from '../../db/event-log/problem.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type Finding, wrong } from './finding.ts'

const INSTALL = 'npm run spms -- install'
const UNSEEN = 'changes of the table may pass unseen, so what shows it is not cached'

interface Advice {
  readonly why: string
  readonly remedy: (table: string) => string
}

const AS_IT_WAS: Advice = {
  why: UNSEEN,
  remedy: (table) => `give ${table} back what it had, then ${INSTALL}`,
}

const ADVICE: Readonly<Record<Cause, Advice>> = {
  missing: AS_IT_WAS,
  kind: AS_IT_WAS,
  column: AS_IT_WAS,
  'primary key': AS_IT_WAS,
  inheritance: {
    why: 'statement triggers fire only for the table that a statement names, so what shows it is not cached',
    remedy: (table) =>
      `end the inheritance (alter table ... no inherit ...; alter table ... detach partition ...), then analyze ${table}`,
  },
  triggers: { why: UNSEEN, remedy: () => INSTALL },
  build: {
    why: 'they do not report all that it needs, so what shows the table is not cached',
    remedy: () => INSTALL,
  },
  'row security': {
    why: 'a role may not see all rows, and nothing reports when policies show it others, so what shows the table is not cached',
    remedy: (table) => `alter table ${table} disable row level security`,
  },
  subscription: {
    why: 'no change that replication applies is logged, so what shows the table is not cached',
    remedy: () =>
      'use the publisher as the database of SPMS, or take the table out of the publication and `alter subscription ... refresh publication`',
  },
  log: {
    why: 'writes of watched tables may fail, or the invalidator may not see their events, so nothing is cached',
    remedy: () =>
      `alter table ... disable row level security, or drop the triggers and rules, where it says so; else ${INSTALL}, as a superuser or as the owner of the schema`,
  },
}

/** Whether each table is still as it can be watched, and its triggers report what this build needs. */
export async function checkTriggers(client: Client): Promise<Finding[]> {
  const inspect = createInspection()
  const installation = await inspect(client)
  const problems = new Map<string, Problem>()
  for (const table of compileRules(catalog).tables) {
    // What is wrong with the log is so for every table.
    for (const problem of installation.problems(table)) problems.set(problem.text, problem)
  }
  return [...problems.values()].map(({ table, cause, text }) =>
    wrong(text, ADVICE[cause].why, ADVICE[cause].remedy(table)),
  )
}
