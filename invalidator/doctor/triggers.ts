import {
  type Cause,
  type Client,
  createInspection,
  type Problem,
} from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import type { ExaminedApplication } from './application.ts'
import { type Finding, wrong } from './finding.ts'

const UNSEEN = 'changes of the table may not be logged, so resources that use it are not cached'

interface Advice {
  readonly why: string
  readonly remedy: (table: string, install: string) => string
}

const AS_IT_WAS: Advice = {
  why: UNSEEN,
  remedy: (table, install) => `restore the definition of ${table}, then ${install}`,
}

const ADVICE: Readonly<Record<Cause, Advice>> = {
  missing: AS_IT_WAS,
  kind: AS_IT_WAS,
  column: AS_IT_WAS,
  'primary key': AS_IT_WAS,
  inheritance: {
    why: 'statement triggers fire only for the table that a statement names, so resources that use it are not cached',
    remedy: (table) =>
      `remove the inheritance (alter table ... no inherit ...; alter table ... detach partition ...), then analyze ${table}`,
  },
  triggers: { why: UNSEEN, remedy: (_table, install) => install },
  build: {
    why: 'the triggers do not log all that this build needs, so resources that use the table are not cached',
    remedy: (_table, install) => install,
  },
  'row security': {
    why: 'a role may not see all rows, and changes of policies are not logged, so resources that use the table are not cached',
    remedy: (table) => `alter table ${table} disable row level security`,
  },
  subscription: {
    why: 'changes that replication applies are not logged, so resources that use the table are not cached',
    remedy: () =>
      'use the publisher as the database of the application, or remove the table from the publication and run `alter subscription ... refresh publication`',
  },
  log: {
    why: 'writes of watched tables may fail, or the invalidator may not see their events, so nothing is cached',
    remedy: (_table, install) =>
      `alter table ... disable row level security, or drop the triggers and rules, if the finding names them; otherwise ${install}, as a superuser or as the owner of the schema`,
  },
}

/** Checks that each watched table has the expected definition, and that its triggers log what this build needs. */
export async function checkTriggers(
  client: Client,
  { catalog, installCommand }: Pick<ExaminedApplication, 'catalog' | 'installCommand'>,
): Promise<Finding[]> {
  const inspect = createInspection()
  const installation = await inspect(client)
  const problems = new Map<string, Problem>()
  for (const table of compileRules(catalog).tables) {
    // A problem of the event log is reported for every table.
    for (const problem of installation.problems(table)) problems.set(problem.text, problem)
  }
  return [...problems.values()].map(({ table, cause, text }) =>
    wrong(text, ADVICE[cause].why, ADVICE[cause].remedy(table, installCommand)),
  )
}
