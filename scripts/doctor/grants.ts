import type { Client } from 'pg'
import { type Finding, note, wrong } from './finding.ts'

interface User {
  readonly application: 'spms-api' | 'spms-invalidator'
  readonly role: string
  readonly superuser: boolean
}

const NEEDS: Readonly<Record<User['application'], readonly (readonly [string, string])[]>> = {
  'spms-api': [['invalidation.life', 'select']],
  'spms-invalidator': [
    ...['event', 'rules', 'watched_table', 'build', 'life', 'floor', 'note', 'cursor'].map(
      (name) => [`invalidation.${name}`, 'select'] as const,
    ),
    ...['cursor', 'floor'].flatMap((name) =>
      ['insert', 'update'].map((right) => [`invalidation.${name}`, right] as const),
    ),
    ['invalidation.note', 'insert'],
    ['invalidation.note', 'delete'],
    ...[0, 1, 2, 3].map((segment) => [`invalidation.event_${segment}`, 'truncate'] as const),
  ],
}

/** Whether the roles by which API and invalidator are connected may do what they have to, and no more. */
export async function checkGrants(client: Client): Promise<Finding[]> {
  const { rows: users } = await client.query<User>(
    `select distinct a.application_name as application, r.rolname as role, r.rolsuper as superuser
     from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
     where a.datname = current_database() and a.application_name = any ($1)
     order by 1, 2`,
    [Object.keys(NEEDS)],
  )
  const findings: Finding[] = []
  for (const { application, role, superuser } of users) {
    if (superuser) {
      findings.push(
        note(
          `${application} is connected as ${role}, a superuser`,
          'it may do far more than it has to',
          'make the roles of docs/dba.md',
        ),
      )
      continue
    }
    const { rows: missing } = await client.query<{ name: string; right: string }>(
      `select name, "right" from unnest($2::text[], $3::text[]) needed (name, "right")
       where not has_table_privilege($1, name, "right")`,
      [
        role,
        NEEDS[application].map(([name]) => name),
        NEEDS[application].map(([, right]) => right),
      ],
    )
    for (const { name, right } of missing) {
      findings.push(
        wrong(
          `${role}, the role of ${application}, lacks ${right} on ${name}`,
          'it cannot do its work',
          `grant ${right} on ${name} to ${role}; docs/dba.md has all grants`,
        ),
      )
    }
  }
  return findings
}
