import { readFileSync } from 'node:fs'
import type pg from 'pg'

/** Makes the functions that all triggers share, or makes them as they should be. */
export const sharedFunctionsSql = readFileSync(new URL('functions.sql', import.meta.url), 'utf8')

/** Their bodies, by name. */
export const sharedBodies: ReadonlyMap<string, string> = new Map(
  [
    ...sharedFunctionsSql.matchAll(
      /^create or replace function (invalidation\.\w+)\(.*?\bas \$\$(.*?)\$\$;$/gms,
    ),
  ].map(([, name = '', body = '']) => [name, body]),
)

/** Those that triggers call in the middle of a write: nobody can take the right to do so away from their owner. */
export const CALLED_BY_TRIGGERS: readonly string[] = ['notify', 'notify_if_idle']

/**
 * Whether all of them are as they should be. Replacing one that is would look like a touch: whoever
 * relies on it would have to forget everything.
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
