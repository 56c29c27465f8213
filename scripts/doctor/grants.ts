import { type Client, escapeIdentifier } from 'pg'
import { type Finding, note, wrong } from '../../invalidator/index.ts'
import { type Application, type Need, needsOf } from './needs.ts'

interface User {
  readonly application: Application
  readonly role: string
  readonly superuser: boolean
}

const APPLICATIONS: readonly Application[] = ['spms-api', 'spms-invalidator']

/**
 * Checks that the roles of the connected API and invalidator processes have the rights that they
 * need, and that none of them is a superuser.
 */
export async function checkGrants(client: Client): Promise<Finding[]> {
  const { rows: users } = await client.query<User>(
    `select distinct a.application_name as application, r.rolname as role, r.rolsuper as superuser
     from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
     where a.datname = current_database() and a.application_name = any ($1)
     order by 1, 2`,
    [APPLICATIONS],
  )
  const { rows: schemas } = await client.query<{ name: string }>(
    `select name from unnest(current_schemas(false)) name where name not like 'pg\\_%'`,
  )
  const searchPath = schemas.map(({ name }) => name)
  const findings: Finding[] = []
  for (const { application, role, superuser } of users) {
    if (superuser) {
      findings.push(
        note(
          `${application} is connected as ${role}, a superuser`,
          'it has more rights than it needs',
          'create the roles of docs/dba.md, and connect as them',
        ),
      )
      continue
    }
    for (const { kind, name, rights, columns, why } of await findMissing(
      client,
      role,
      needsOf(application, searchPath),
    )) {
      const what = kind === 'table' ? name : `${kind} ${name}`
      const which = columns === undefined ? '' : ` (${columns.join(', ')})`
      const lacking = rights.map((right) => `${right}${which}`).join(', ')
      findings.push(
        wrong(
          `${role}, the role of ${application}, lacks ${lacking} on ${what}`,
          why,
          `grant ${lacking} on ${what} to ${escapeIdentifier(role)}; docs/dba.md has all grants`,
        ),
      )
    }
  }
  return findings
}

/** Returns the needs that a role does not meet, each with the missing rights. Objects that do not exist need none. */
async function findMissing(
  client: Client,
  role: string,
  needs: readonly Need[],
): Promise<readonly Need[]> {
  const single = needs.flatMap(({ kind, name, rights, columns = [] }, index) =>
    rights.map((right) => ({ index, kind, name, right, columns: columns.join() })),
  )
  const { rows } = await client.query<{ index: number; rights: readonly string[] }>(
    `select index, array_agg("right" order by position) as rights
     from unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[])
       with ordinality needed (index, kind, name, "right", columns, position)
     where not case kind
       when 'schema' then has_schema_privilege($1, name, "right")
       when 'function' then has_function_privilege($1, to_regprocedure(name), "right")
       else case columns
         when '' then has_table_privilege($1, to_regclass(name), "right")
         else (select bool_and(has_column_privilege($1, to_regclass(name), c, "right"))
               from unnest(string_to_array(columns, ',')) c)
       end
     end
     group by index order by index`,
    [
      role,
      single.map(({ index }) => index),
      single.map(({ kind }) => kind),
      single.map(({ name }) => name),
      single.map(({ right }) => right),
      single.map(({ columns }) => columns),
    ],
  )
  return rows.map(({ index, rights }) => ({ ...(needs[index] as Need), rights }))
}
