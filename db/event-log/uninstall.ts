import { dropTriggersSql, openInstaller, tablesWithStrayTriggers } from './installer.ts'
import { waitForGracePeriod, retireBuilds } from './retire.ts'

/**
 * Removes every trace of ours: all triggers, then the schema. Safe to repeat, and on a live system:
 * invalidators are given `graceMs` to say in Redis that nothing may be read from it any more. Then
 * the functions are emptied, so that what still runs them needs nothing of what is about to go.
 */
export async function uninstall(url: string, graceMs: number): Promise<void> {
  await using installer = await openInstaller(url)
  const { client, run } = installer
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regclass('invalidation.build') is not null as there`,
  )
  if (rows[0]?.there) {
    await retireBuilds(installer)
    await waitForGracePeriod(installer, graceMs)
  }

  const functions = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, p.proname) as name
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'invalidation' and p.prorettype = 'trigger'::regtype`,
  )
  for (const { name } of functions.rows) {
    await run(
      `create or replace function ${name}() returns trigger language plpgsql
       as $$ begin return null; end $$;`,
    )
  }
  for (const name of await tablesWithStrayTriggers(client, []))
    await run(dropTriggersSql(name), name)
  await run('drop schema if exists invalidation cascade;')
}
