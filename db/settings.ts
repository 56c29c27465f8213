import { escapeIdentifier } from 'pg'

/** Settings of Postgres by name. */
export type Settings = Readonly<Record<string, string>>

/**
 * The settings that change what a statement means or what its answer looks like. They are set for
 * every session or transaction, so that `alter role ... set` and `alter database ... set` change
 * neither which relation a name means nor the text of a key or an answer.
 *
 * `pg_catalog` is not listed in the search path and is therefore searched first; a temporary table
 * is found last. Objects are created in the first schema listed.
 */
export const meaningOf = (searchPath: readonly string[]): Settings => ({
  search_path: [...searchPath.map((schema) => escapeIdentifier(schema)), 'pg_temp'].join(', '),
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  quote_all_identifiers: 'off',
  gin_fuzzy_search_limit: '0',
})

/**
 * What else a session of ours relies on. A limit that was meant for other programs of the role must
 * not end our work, a filtered read must fail rather than return less, and a default of "read only"
 * must not stop the bookkeeping of the log.
 */
export const SESSION_DEFAULTS: Settings = {
  client_encoding: 'UTF8',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  row_security: 'off',
  plan_cache_mode: 'auto',
  lock_timeout: '0',
  statement_timeout: '0',
  // Postgres 17; where there is none it is left out.
  transaction_timeout: '0',
  restrict_nonsystem_relation_kind: '',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
}

/** For the statement that begins a transaction. Unlike a SELECT, SET takes no snapshot. */
export const setLocalSql = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `set local ${name} = ${sqlValue(name, value)}`)
    .join('; ')

/** The search path is a list of identifiers; everything else is one string. */
const sqlValue = (name: string, value: string) =>
  name === 'search_path' ? value : `'${value.replaceAll("'", "''")}'`
