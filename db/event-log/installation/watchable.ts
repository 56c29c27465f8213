import { ConfigurationError } from '../connection/configuration-error.ts'
import type { CatalogTable } from './catalog.ts'
import { MAX_WATCHED_COLUMNS, type WatchedTable } from './definition.ts'
import type { Cause, Problem } from './problem.ts'

/** A table that can be watched as the rules require, with its primary key from the catalog. */
export interface WatchableTable extends WatchedTable {
  readonly primaryKey: readonly string[]
}

/**
 * Column types whose text form does not depend on session settings and identifies the value. The
 * collation does not matter, even if it is nondeterministic: triggers compare images and texts by
 * bytes. Domains, citext and char(n), which ignores trailing blanks, are not supported.
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
 * Returns the problems for which a table cannot be watched as the rules require. `install` rejects the
 * table, and the inspection checks it again, since tables may change after the installation.
 */
const structuralProblems = (
  found: CatalogTable | undefined,
  table: WatchedTable,
): readonly Problem[] => [...tableProblems(found, table.name), ...columnProblems(found, table)]

/** Returns the problems that affect all columns of a table. */
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

/** Returns the problems of single columns. */
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
    if (virtual) problems.push(`${name}.${column} is virtual: triggers cannot read it`)
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

/** Returns problems for which changes may go unlogged despite intact triggers; fixable at any time. */
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
  // While the flag is set, a child that is added and removed between two scans leaves no trace.
  if (found.hadChildren && !found.hasChildren) {
    const text = `other tables inherited from ${name} once: analyze ${name} to clear the flag relhassubclass`
    problems.push(problem(name, 'inheritance', text))
  }
  return problems
}

/**
 * Returns the table of the rules with its primary key from the catalog.
 * @throws ConfigurationError if the table cannot be watched; the message states the problem.
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
      `${name}.${column} leads to entries: watch it too, since it is not part of the primary key`,
    )
  }
  return { name, watch, keys: keys.length > 0 ? keys : primaryKey, primaryKey }
}

const problem = (table: string, cause: Cause, text: string): Problem => ({ table, cause, text })
