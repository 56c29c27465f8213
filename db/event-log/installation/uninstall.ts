import {
  dropTriggersSql,
  type InstallerOptions,
  openInstaller,
  tablesWithStrayTriggers,
} from './installer.ts'
import { waitForGracePeriod, retireBuilds } from './retire.ts'

/**
 * Drops all invalidation triggers and the schema `invalidation`. Safe to repeat and on a live system.
 * It waits `graceMs`, so that invalidators can mark all cached values in Redis as unreadable. Then it
 * empties the trigger functions, so that running writers do not depend on dropped objects.
 */
export async function uninstall(
  url: string,
  graceMs: number,
  options: InstallerOptions = {},
): Promise<void> {
  await using installer = await openInstaller(url, options)
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
