import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Fault } from './fault.ts'
import { onServer } from './postgres.ts'
import { change } from './schema.ts'

const DECOY = 'v8000001'

/** Changed settings of roles and databases, and exhausted connections. */
export const SETTING_FAULTS: readonly Fault[] = [
  {
    name: 'read-only-default',
    takes: 'nothing',
    holdMs: 4_000,
    // All other roles stay read-write, so that only the invalidator is affected.
    async inject(scene) {
      const others = ['postgres', 'preparing', 'spms_api', 'spms_owner']
      const set = (role: string, how: string) =>
        `alter role ${role} in database spms ${how} default_transaction_read_only`
      await change(scene, others.map((role) => `${set(role, 'set')} = off`).join(';'))
      await change(scene, 'alter database spms set default_transaction_read_only = on')
      await terminate(scene.stage.postgres.url, ['spms_invalidator'])
      return async () => {
        await change(
          scene,
          `set transaction read write;
           alter database spms reset default_transaction_read_only;
           ${others.map((role) => set(role, 'reset')).join(';')}`,
        )
        await terminate(scene.stage.postgres.url, ['spms_invalidator'])
      }
    },
  },
  {
    name: 'connections-exhausted',
    takes: 'postgres',
    holdMs: 0,
    async inject({ stage }) {
      const taken: Client[] = []
      const take = async () => {
        while (await takeOne(stage.urlFor('spms_owner', stage.postgres.url), taken));
      }
      for (let time = 0; time < 4; time++) {
        await Promise.all([take(), take(), take(), take()])
        await terminate(stage.postgres.url, ['spms_invalidator', 'spms_api'])
        await Promise.all([take(), take(), take(), take()])
        await sleep(1_000)
      }
      return async () => {
        await Promise.all(taken.map((client) => client.end().catch(() => undefined)))
      }
    },
  },
  {
    name: 'tables-shadowed',
    takes: 'nothing',
    holdMs: 4_000,
    // The default search_path has "$user" before `public`.
    async inject(scene) {
      await change(
        scene,
        `create schema spms_api authorization spms_api;
         create table spms_api.users_keywordtag as select * from public.users_keywordtag;
         update spms_api.users_keywordtag set name = '${DECOY}';
         alter table spms_api.users_keywordtag owner to spms_api;
         create schema spms_invalidator authorization spms_invalidator;
         create table spms_invalidator.users_userwork (like public.users_userwork);
         alter table spms_invalidator.users_userwork owner to spms_invalidator`,
      )
      return () =>
        change(scene, 'drop schema spms_api cascade; drop schema spms_invalidator cascade')
    },
  },
  {
    name: 'search-path-changed',
    takes: 'postgres',
    holdMs: 4_000,
    async inject(scene) {
      await change(
        scene,
        `create schema decoys;
         create table decoys.users_keywordtag as select * from public.users_keywordtag;
         update decoys.users_keywordtag set name = '${DECOY}';
         create table decoys.users_userwork (like public.users_userwork);
         grant usage on schema decoys to spms_api, spms_invalidator;
         grant select on all tables in schema decoys to spms_api, spms_invalidator;
         alter role spms_invalidator set search_path = decoys, public;
         alter role spms_api in database spms set search_path = decoys, public`,
      )
      await terminate(scene.stage.postgres.url, ['spms_api', 'spms_invalidator'])
      return async () => {
        await change(
          scene,
          `alter role spms_invalidator reset search_path;
           alter role spms_api in database spms reset search_path;
           drop schema decoys cascade`,
        )
        await terminate(scene.stage.postgres.url, ['spms_api', 'spms_invalidator'])
      }
    },
  },
]

/** Terminates the connections of roles, so that they reconnect with the changed settings. */
const terminate = (url: string, roles: readonly string[]) =>
  onServer(url, (client) =>
    client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
      roles,
    ]),
  )

/** Opens one more connection. Returns whether that succeeded. */
async function takeOne(url: string, taken: Client[]): Promise<boolean> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    taken.push(client)
    return true
  } catch {
    return false
  }
}
