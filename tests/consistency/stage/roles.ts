import { randomBytes } from 'node:crypto'
import { install } from '../../../db/event-log/index.ts'
import { grant as grantRights } from '../../../db/grant.ts'
import { compileRules } from '../../../shared/cache/index.ts'
import { catalog } from '../../../shared/resources/index.ts'
import { readRoleSql } from '../../support/role-sql.ts'
import { onPostgres } from './on-postgres.ts'
import { repeatLost } from './repeat.ts'

/** The roles of docs/dba.md. */
export type Role = 'spms_owner' | 'spms_api' | 'spms_invalidator'

const ROLES: readonly Role[] = ['spms_owner', 'spms_api', 'spms_invalidator']
/** The owner of the application tables. */
const OWNER_OF_TABLES = 'spms_tables'

/** The roles of one cluster. None is a superuser, and each has only the documented grants. */
export interface Roles {
  /** Returns the URL of a database with one of these roles. */
  urlFor(role: Role, url: string): string
  /** Creates the roles, changes the owner of the tables, runs `install` as owner, and grants. */
  install(url: string): Promise<void>
  /** Repeats the grants. */
  grant(url: string): Promise<void>
}

export function createRoles(): Roles {
  const password = randomBytes(12).toString('hex')
  const urlFor: Roles['urlFor'] = (role, url) => {
    const address = new URL(url)
    address.username = role
    address.password = password
    return address.href
  }
  const grant: Roles['grant'] = (url) => repeatLost(() => grantRights(urlFor('spms_owner', url)))
  return {
    urlFor,
    grant,
    async install(url) {
      const { roles } = await readRoleSql()
      await run(url, `create role ${OWNER_OF_TABLES}; ${GIVE_TABLES}; ${roles}`)
      for (const role of ROLES) await run(url, `alter role ${role} password '${password}'`)
      await install(urlFor('spms_owner', url), compileRules(catalog))
      await grant(url)
    },
  }
}

const GIVE_TABLES = `
  do $$
  declare found record;
  begin
    for found in select oid::regclass as name from pg_class
                 where relnamespace = 'public'::regnamespace and relkind = 'r'
    loop
      execute format('alter table %s owner to ${OWNER_OF_TABLES}', found.name);
    end loop;
  end
  $$`

const run = (url: string, statements: string): Promise<void> =>
  onPostgres(url, (client) => repeatLost(() => client.query(statements)))
