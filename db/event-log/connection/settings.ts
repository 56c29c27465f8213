import { escapeIdentifier } from 'pg'

/** Postgres settings by name. */
export type Settings = Readonly<Record<string, string>>

/**
 * Returns the settings that affect name resolution and the text of values. Every session or transaction
 * sets them, which overrides `alter role ... set` and `alter database ... set`.
 *
 * `pg_catalog` is not listed in the search path and is therefore searched first; a temporary table
 * is found last. Objects are created in the first schema listed.
 */
export const semanticSettings = (searchPath: readonly string[]): Settings => ({
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
 * Further settings that sessions of this application rely on. Limits for other programs of the role
 * must not apply here. A read that row security would filter must fail. A default of "read only" must
 * not block writes to the event log.
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
  // Since Postgres 17; skipped before.
  transaction_timeout: '0',
  restrict_nonsystem_relation_kind: '',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
}

/** Returns SET LOCAL statements to send with BEGIN. Unlike a SELECT, SET takes no snapshot. */
export const setLocalSql = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `set local ${name} = ${sqlValue(name, value)}`)
    .join('; ')

/** The search path is a list of identifiers; everything else is one string. */
const sqlValue = (name: string, value: string) =>
  name === 'search_path' ? value : `'${value.replaceAll("'", "''")}'`
