import type { Fault, Scene } from './fault.ts'
import { connect } from '../stage/on-postgres.ts'
import { repeatLost } from '../stage/repeat.ts'
import { change } from './schema.ts'

/** Changes of privileges and owners by commands for whole schemas. */
export const PRIVILEGE_FAULTS: readonly Fault[] = [
  {
    name: 'owners-changed',
    takes: 'nothing',
    holdMs: 4_000,
    async inject(scene) {
      await change(
        scene,
        'create role checker_other; grant usage on schema invalidation to checker_other',
      )
      await changeOwners(scene, 'checker_other')
      return async () => {
        await changeOwners(scene, null)
        await change(scene, 'drop owned by checker_other; drop role checker_other')
        await repair(scene)
      }
    },
  },
  {
    name: 'owner-rights-revoked',
    takes: 'nothing',
    holdMs: 4_000,
    async inject(scene) {
      await change(scene, 'revoke all on all tables in schema invalidation from spms_owner')
      return async () => {
        await change(scene, 'grant all on all tables in schema invalidation to spms_owner')
        await repair(scene)
      }
    },
  },
  {
    name: 'lookup-rights-revoked',
    takes: 'nothing',
    holdMs: 3_000,
    async inject(scene) {
      const tables = 'users_userwork, projects_projectmember, users_publicstaffprofile'
      await change(scene, `revoke all on ${tables} from spms_invalidator`)
      return () => repair(scene)
    },
  },
  {
    name: 'log-rights-revoked',
    takes: 'nothing',
    holdMs: 4_000,
    async inject(scene) {
      await change(scene, 'revoke all on all tables in schema invalidation from spms_invalidator')
      return () => repair(scene)
    },
  },
]

async function repair({ stage }: Scene): Promise<void> {
  await stage.grant()
  await stage.repair()
}

/**
 * Changes the owner of all tables, one transaction for each, as a DBA does who avoids lock queues.
 * `null` restores the owners.
 */
async function changeOwners({ stage, allowances }: Scene, owner: string | null): Promise<void> {
  const client = await connect(stage.postgres.url)
  const span = allowances.begin('log locked')
  try {
    const { rows } = await client.query<{ name: string; before: string }>(
      `select format('%I.%I', schemaname, tablename) as name,
              case schemaname when 'invalidation' then 'spms_owner' else 'spms_tables' end as before
       from pg_tables where schemaname in ('public', 'invalidation') order by 1`,
    )
    for (const { name, before } of rows) {
      await repeatLost(() => client.query(`alter table ${name} owner to ${owner ?? before}`))
    }
  } finally {
    await client.end()
    allowances.end(span)
  }
}
