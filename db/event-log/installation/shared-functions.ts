import { readFileSync } from 'node:fs'
import type pg from 'pg'

/** SQL that creates or replaces the functions that all triggers share. */
export const sharedFunctionsSql = readFileSync(new URL('functions.sql', import.meta.url), 'utf8')

/** The bodies of these functions, by name. */
export const sharedBodies: ReadonlyMap<string, string> = new Map(
  [
    ...sharedFunctionsSql.matchAll(
      /^create or replace function (invalidation\.\w+)\(.*?\bas \$\$(.*?)\$\$;$/gms,
    ),
  ].map(([, name = '', body = '']) => [name, body]),
)

/** Functions that triggers call. PUBLIC has EXECUTE on them, so that a REVOKE cannot break writes. */
export const CALLED_BY_TRIGGERS: readonly string[] = ['notify', 'notify_if_idle']

/**
 * Whether all shared functions are intact. `install` must not replace an intact function: that changes
 * the fingerprints of the tables, and invalidators would flush.
 */
export async function areSharedFunctionsIntact(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ name: string; body: string }>(
    `select 'invalidation.' || proname as name, prosrc as body
     from pg_proc
     where pronamespace = to_regnamespace('invalidation')
       and prosecdef and proconfig = '{"search_path=pg_catalog, pg_temp"}'
       and (proname = any ($1)) = exists (
         select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0)`,
    [CALLED_BY_TRIGGERS],
  )
  const found = new Map(rows.map(({ name, body }) => [name, body]))
  return [...sharedBodies].every(([name, body]) => found.get(name) === body)
}
