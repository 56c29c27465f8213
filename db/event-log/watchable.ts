import { ConfigurationError } from '../errors.ts'
import type { CatalogTable } from './catalog.ts'
import { MAX_WATCHED_COLUMNS, type WatchedTable } from './definition.ts'
import type { Cause, Problem } from './problem.ts'

/** A table that can be watched as the rules ask, with what only the catalog knows of it. */
export interface WatchableTable extends WatchedTable {
  readonly primaryKey: readonly string[]
}

/**
 * Column types whose text form depends on no setting of the session that writes, and of which two
 * values with the same text are the same. Their collation does not matter, not even one that is
 * nondeterministic: triggers compare images and texts by their bytes. Only built-in types: citext,
 * char(n), whose blanks mean nothing, and domains are none of these.
 */
const KEY_TYPES = new Set([
  'int2',
  'int4',
  'int8',
  'uuid',
  'text',
  'varchar',
  'bool',
  '_int4',
  '_int8',
])

/**
 * What keeps a table from being watched as the rules ask. Installation refuses it, and the drift
 * scan looks again: a table may be changed after it was installed.
 */
const structuralProblems = (
  found: CatalogTable | undefined,
  table: WatchedTable,
): readonly Problem[] => [...tableProblems(found, table.name), ...columnProblems(found, table)]

/** Those that concern whatever is made of the table. */
export function tableProblems(found: CatalogTable | undefined, name: string): readonly Problem[] {
  if (found === undefined) return [problem(name, 'missing', `there is no table ${name}`)]
  const problems: Problem[] = []
  // Statement triggers fire for the table that a statement names, not for its parents or children.
  if (found.kind !== 'r') {
    const text = `${name} is not an ordinary table but ${KINDS[found.kind] ?? 'something else'}: not supported`
    problems.push(problem(name, 'kind', text))
  }
  if (found.isChild) {
    const text = `${name} is a partition or inherits from another table: not supported`
    problems.push(problem(name, 'inheritance', text))
  }
  if (found.hasChildren) {
    const text = `${name} has partitions, or other tables inherit from it: not supported`
    problems.push(problem(name, 'inheritance', text))
  }
  if (found.primaryKey.length === 0) {
    problems.push(problem(name, 'primary key', `${name} has no primary key`))
  }
  return problems
}

/** Those that concern what is made of some of its columns. */
export function columnProblems(
  found: CatalogTable | undefined,
  { name, watch, keys }: WatchedTable,
): readonly Problem[] {
  if (found === undefined) return []
  const problems: string[] = []
  const columns = new Map(found.columns.map((column) => [column.name, column]))
  for (const column of new Set([...watch, ...keys])) {
    const { virtual } = columns.get(column) ?? {}
    if (virtual === undefined) problems.push(`${name} has no column ${column}`)
    if (virtual) problems.push(`${name}.${column} is virtual: triggers are not shown it`)
  }
  for (const column of keys) {
    const { type } = columns.get(column) ?? {}
    if (type !== undefined && !KEY_TYPES.has(type)) {
      problems.push(`${name}.${column} cannot be a key: ${type} has no stable text`)
    }
  }
  if (watch.length > MAX_WATCHED_COLUMNS) {
    problems.push(`${name}: more than ${MAX_WATCHED_COLUMNS} watched columns`)
  }
  return problems.map((text) => problem(name, 'column', text))
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  p: 'a partitioned table',
}

/** What may let a change of the table pass unseen although triggers are whole; it can be put right at any time. */
export function environmentalProblems(name: string, found: CatalogTable): readonly Problem[] {
  const problems: Problem[] = []
  if (found.rowSecurity) {
    const text = `row level security is enabled on ${name}: what a role reads depends on policies, whose changes are not logged`
    problems.push(problem(name, 'row security', text))
  }
  if (found.subscribed) {
    const text = `a subscription writes to ${name}: no statement trigger fires for the rows that it applies`
    problems.push(problem(name, 'subscription', text))
  }
  // While the flag stands, a child that comes and goes between two scans leaves no trace.
  if (found.hadChildren && !found.hasChildren) {
    const text = `other tables inherited from ${name} once: analyze ${name} says that none does`
    problems.push(problem(name, 'inheritance', text))
  }
  return problems
}

/**
 * Completes what the rules ask of a table by what the catalog says of it.
 * @throws ConfigurationError that says what stands in the way.
 */
export function watchableTable(
  found: CatalogTable | undefined,
  table: WatchedTable,
): WatchableTable {
  const [first] = structuralProblems(found, table)
  if (found === undefined || first) throw new ConfigurationError(first?.text)
  const { name, watch, keys } = table
  const { primaryKey } = found
  for (const column of keys) {
    if (watch.includes(column) || primaryKey.includes(column)) continue
    throw new ConfigurationError(
      `${name}.${column} leads to entries: its own change has to be watched`,
    )
  }
  return { name, watch, keys: keys.length > 0 ? keys : primaryKey, primaryKey }
}

const problem = (table: string, cause: Cause, text: string): Problem => ({ table, cause, text })
