import { setTimeout as sleep } from 'node:timers/promises'
import { onPostgres } from '../stage/on-postgres.ts'
import { repeatLost } from '../stage/repeat.ts'
import type { Fault, Scene } from './fault.ts'

/** Schema changes of DBAs during operation. */
export const SCHEMA_FAULTS: readonly Fault[] = [
  {
    name: 'column-renamed',
    takes: 'postgres',
    holdMs: 1_500,
    async inject(scene) {
      await change(scene, 'alter table users_keywordtag rename column name to called')
      return () => change(scene, 'alter table users_keywordtag rename column called to name')
    },
  },
  {
    name: 'column-dropped',
    takes: 'postgres',
    holdMs: 1_500,
    async inject(scene) {
      await change(scene, 'alter table agencies_businessarea drop column focus')
      return async () => {
        await change(scene, 'alter table agencies_businessarea add column focus varchar(1250)')
        await scene.stage.repair()
      }
    },
  },
  {
    name: 'triggers-disabled',
    takes: 'postgres',
    holdMs: 4_000,
    async inject(scene) {
      const span = scene.allowances.begin('silent', 'users_publicstaffprofile')
      await change(scene, ofOurs('disable trigger'))
      return async () => {
        await change(scene, ofOurs('enable always trigger'))
        scene.allowances.end(span)
      }
    },
  },
  {
    name: 'triggers-toggled',
    takes: 'postgres',
    holdMs: 0,
    // The triggers are enabled again before a scan can detect it.
    async inject(scene) {
      for (let time = 0; time < 4; time++) {
        const span = scene.allowances.begin('silent', 'users_publicstaffprofile')
        await change(scene, ofOurs('disable trigger'))
        await sleep(150)
        await change(scene, ofOurs('enable always trigger'))
        scene.allowances.end(span)
        await sleep(500)
      }
      return async () => {}
    },
  },
  {
    name: 'table-swapped',
    takes: 'postgres',
    holdMs: 3_000,
    async inject(scene) {
      const span = scene.allowances.begin('silent', 'users_educationentry')
      await change(
        scene,
        `lock table users_educationentry in access exclusive mode;
         create table education_copy (like users_educationentry including all);
         insert into education_copy select * from users_educationentry;
         alter table users_educationentry rename to education_before;
         alter table education_copy rename to users_educationentry;
         select checker.give('users_educationentry', 'education_before');
         select checker.watch('users_educationentry')`,
      )
      return async () => {
        await change(
          scene,
          `lock table users_educationentry in access exclusive mode;
           truncate education_before;
           insert into education_before select * from users_educationentry;
           drop table users_educationentry;
           alter table education_before rename to users_educationentry`,
        )
        scene.allowances.end(span)
      }
    },
  },
]

/** Returns SQL that applies an action to the system's triggers on one table, not to the checker's. */
const ofOurs = (action: string) => `
  do $$
  declare found record;
  begin
    for found in select tgname from pg_trigger
                 where tgrelid = 'users_publicstaffprofile'::regclass and tgname like 'zz_invalidation%'
    loop
      execute format('alter table users_publicstaffprofile ${action} %I', found.tgname);
    end loop;
  end
  $$`

/** Runs statements in one transaction. Retries after a deadlock or a lock time-out. */
export const change = ({ stage }: Scene, statements: string): Promise<void> =>
  onPostgres(stage.postgres.url, (client) =>
    repeatLost(async () => {
      // Ends the transaction of a failed attempt.
      await client.query('rollback')
      await client.query(`begin; ${statements}; commit`)
    }),
  )
