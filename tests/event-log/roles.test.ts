import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Kysely, Transaction } from 'kysely'
import { Client } from 'pg'
import { openDatabase } from '../../db/database.ts'
import {
  beginIncarnation,
  findIncarnation,
  followLinks,
  install,
  openWorkerSession,
  pruneEventLog,
  readStatus,
  recordCursors,
  uninstall,
} from '../../db/event-log/index.ts'
import type { Database } from '../../db/schema.ts'
import {
  deleteOrphanedAffiliations,
  insertAffiliation,
  mergeAffiliations,
} from '../../db/writes/affiliation.ts'
import { deleteBranch } from '../../db/writes/branch.ts'
import { deleteDivision, replaceEmailList } from '../../db/writes/division.ts'
import { deleteEntry } from '../../db/writes/profile-entry.ts'
import { deleteProject } from '../../db/writes/project-deletion.ts'
import { insertProject } from '../../db/writes/new-project.ts'
import { deletePart, insertPart } from '../../db/writes/project-part.ts'
import { toggleStaffProfile } from '../../db/writes/staff-profile.ts'
import { deleteUser } from '../../db/writes/user-deletion.ts'
import { lockForMerge, mergeUsers } from '../../db/writes/user-merge.ts'
import { root } from '../../scripts/paths.ts'
import { needsOf } from '../../scripts/doctor/needs.ts'
import { compileRules, isLookup } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { buildDenseWorld, worldEntries } from '../resources/dense-world.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { readRoleSql } from '../support/role-sql.ts'
import { recordKeys, startInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'

const RULES = compileRules(catalog)
/** Roles are shared by the whole cluster. */
const suffix = randomBytes(4).toString('hex')
const ROLES = ['tables', 'owner', 'api', 'invalidator'] as const
type Role = (typeof ROLES)[number]
const nameOf = (role: Role) => `spms_${role}_${suffix}`

describe('the roles of docs/dba.md', () => {
  let database: TestDatabase
  let superuser: Client
  let api: Kysely<Database>
  let grants: string

  before(async () => {
    database = await createTestDatabase()
    const db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'spms-test-roles' })
    await buildDenseWorld(db)
    await db.destroy()
    superuser = await connect(database.url)

    const { roles, given } = await readOwnSql()
    grants = given
    await superuser.query(`create role ${nameOf('tables')}`)
    await superuser.query(
      `do $$ declare found record; begin
         for found in select oid::regclass as name from pg_class
                      where relnamespace = 'public'::regnamespace and relkind = 'r'
         loop execute format('alter table %s owner to ${nameOf('tables')}', found.name); end loop;
       end $$`,
    )
    await superuser.query(roles)
    for (const role of ['owner', 'api', 'invalidator'] as const) {
      await superuser.query(`alter role ${nameOf(role)} password '${suffix}'`)
    }
    await installWithGrants()
    api = openDatabase({ url: urlOf('api'), poolSize: 2, applicationName: 'spms-test-api' })
  })
  after(async () => {
    await api.destroy()
    for (const role of ROLES) await superuser.query(`drop owned by ${nameOf(role)} cascade`)
    await superuser.query(`drop role ${ROLES.map(nameOf).join()}`)
    await superuser.end()
    await database[Symbol.asyncDispose]()
  })

  async function connect(url: string): Promise<Client> {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  function urlOf(role: Role): string {
    const url = new URL(database.url)
    url.username = nameOf(role)
    url.password = suffix
    return url.href
  }

  async function as(role: Role, statements: string): Promise<void> {
    const client = await connect(urlOf(role))
    try {
      await client.query(statements)
    } finally {
      await client.end()
    }
  }

  async function installWithGrants(): Promise<void> {
    await install(urlOf('owner'), RULES)
    await as('owner', grants)
  }

  it('get the rights of docs/dba.md from `grant`', async () => {
    const { grants: documented } = await readRoleSql()
    expect(await readFile(join(root, 'db/grants.sql'), 'utf8')).to.equal(documented)
  })

  it('are no superusers, and spms_owner installs without one', async () => {
    const { rows } = await superuser.query<{ superusers: string }>(
      `select count(*) filter (where rolsuper or rolcreaterole or rolbypassrls) as superusers
       from pg_roles where rolname like $1`,
      [`%${suffix}`],
    )
    expect(rows[0]?.superusers).to.equal('0')
    const { damaged, tables } = await readStatus(urlOf('owner'))
    expect({ damaged, tables }).to.eql({ damaged: [], tables: RULES.tables.length })
  })

  it('keep their grants after another installation', async () => {
    await install(urlOf('owner'), RULES)
    expect(await findIncarnation(api)).to.be.a('string')
  })

  for (const [role, application] of [
    ['api', 'spms-api'],
    ['invalidator', 'spms-invalidator'],
  ] as const) {
    it(`grant spms_${role} everything that doctor requires and no other write access`, async () => {
      const { rows } = await superuser.query<{ right: string }>(
        `select concat_ws(' ', lower(privilege_type), nullif(table_schema, 'public') || '.') ||
                case table_schema when 'public' then ' ' else '' end || table_name as right
         from information_schema.role_table_grants where grantee = $1`,
        [nameOf(role)],
      )
      const granted = rows.map(({ right }) => right)
      const needed = needsOf(application, ['public'])
        .filter(({ kind, columns }) => kind === 'table' && columns === undefined)
        .flatMap(({ name, rights }) => rights.map((right) => `${right} ${name}`))
      expect(granted).to.include.members(needed)
      // The API may also read tables that it does not cache.
      const more = granted.filter((right) => !needed.includes(right))
      expect(role === 'api' ? more.filter((right) => !right.startsWith('select ')) : more).to.eql(
        [],
      )
    })
  }

  it('grant spms_invalidator only the columns of users and requests that lookups read', async () => {
    const { rows } = await superuser.query<{ column: string }>(
      `select attrelid::regclass || '.' || attname as column from pg_attribute
       where attacl::text like $1 order by 1`,
      [`%${nameOf('invalidator')}=r/%`],
    )
    const needed = needsOf('spms-invalidator', ['public']).flatMap(({ name, columns = [] }) =>
      columns.map((column) => `${name}.${column}`),
    )
    expect(rows.map(({ column }) => column)).to.deep.equal(needed.toSorted())
  })

  describe('spms_api', () => {
    for (const { resource, examples } of worldEntries) {
      it(`loads ${resource.name}`, async () => {
        for (const { params, variant } of examples) {
          await api.transaction().execute((trx) => resource.load(trx, params, variant))
        }
      })
    }

    const WRITES: Readonly<Record<string, (trx: Transaction<Database>) => Promise<unknown>>> = {
      'delete a user': (trx) => deleteUser(trx, '1'),
      'merge users': async (trx) => {
        const merge = { primaryId: '1', secondaryIds: ['2'] }
        await lockForMerge(trx, merge)
        await mergeUsers(trx, merge)
      },
      'create a project': async (trx) => {
        const project = {
          kind: 'science',
          title: 'New',
          description: '',
          keywords: '',
          year: 2026,
          startDate: null,
          endDate: null,
          businessAreaId: null,
          leaderId: '1',
          dataCustodianId: null,
          serviceId: null,
          areas: [],
          student: {},
          external: {},
        } as const
        const photo = { file: 'projects/1.png', size: 1 }
        await insertProject(trx, '1', project, photo)
        await insertProject(trx, '1', { ...project, kind: 'student' }, null)
        await insertProject(trx, '1', { ...project, kind: 'external' }, null)
      },
      'delete a project': (trx) => deleteProject(trx, '231'),
      'delete a branch': (trx) => deleteBranch(trx, '111'),
      'delete a division': (trx) => deleteDivision(trx, '121'),
      'replace an e-mail list': (trx) => replaceEmailList(trx, '121', ['2', '3']),
      'clean affiliations': (trx) => deleteOrphanedAffiliations(trx),
      'merge affiliations': async (trx) => {
        const [primaryId, secondaryId] = [
          await insertAffiliation(trx, 'Here'),
          await insertAffiliation(trx, 'There'),
        ]
        await mergeAffiliations(trx, { primaryId, secondaryIds: [secondaryId] })
      },
      'add and remove an area': async (trx) => {
        await trx.deleteFrom('projects_projectarea').where('project_id', '=', '231').execute()
        const id = await insertPart(trx, 'projects_projectarea', '231', { areas: [] })
        await deletePart(trx, 'projects_projectarea', id)
      },
      'hide a profile': (trx) => toggleStaffProfile(trx, '181'),
      'delete an entry of a CV': (trx) => deleteEntry(trx, { kind: 'employment', id: '1' }),
    }

    for (const [what, write] of Object.entries(WRITES)) {
      it(`may ${what}`, async () => {
        const undone = new Error('undone')
        const failure = await api
          .transaction()
          .execute(async (trx) => {
            await write(trx)
            throw undone
          })
          .catch((error: unknown) => error)
        expect(failure).to.equal(undone)
      })
    }
  })

  describe('spms_invalidator', () => {
    it('follows every link from a changed row to entries', async () => {
      const client = await connect(urlOf('invalidator'))
      const lookups = catalog.flatMap(({ staleWhen }) => staleWhen.filter(isLookup))
      for (const { query, from } of lookups) {
        await followLinks(
          client,
          query,
          from.map(() => ['1']),
          10,
        )
      }
      await client.end()
      expect(lookups).to.have.length.above(0)
    })

    it('applies writes of the API', async () => {
      const recorder = recordKeys()
      await using invalidator = startInvalidator({
        databaseUrl: urlOf('invalidator'),
        catalog,
        wrapInvalidationStore: recorder.wrapInvalidationStore,
      })
      await until(() => invalidator.working && invalidator.connected)
      await api.transaction().execute((trx) => toggleStaffProfile(trx, '181'))
      await until(() => [...recorder.applied].some((key) => key.endsWith('staff:profile:181')))
    })

    it('writes cursors, checkpoints and the retention floor, and empties a segment', async () => {
      await superuser.query(
        `truncate invalidation.event, invalidation.cursor, invalidation.checkpoint`,
      )
      await using session = await openWorkerSession({
        url: urlOf('invalidator'),
        applicationName: 'spms-test-housekeeper',
        statementTimeoutMs: 10_000,
      })
      await superuser.query(`select invalidation.flush('staff:profile')`)
      const results: string[] = []
      for (let aheadS = 0; aheadS < 30 * 60; aheadS += 60) {
        const { rows } = await session.client.query<{ now: string }>(
          'select pg_current_snapshot()::text as now',
        )
        const snapshot = rows[0]?.now as string
        await recordCursors(session.client, 'redis', [{ resource: 'staff:profile', snapshot }])
        results.push(await pruneEventLog(session.client, { aheadS }))
      }
      expect(results).to.include('emptied')
      expect(results).not.to.include('busy')
    })

    it('shares the incarnation that the API begins if there is none', async () => {
      await superuser.query('delete from invalidation.incarnation')
      expect(await findIncarnation(api)).to.equal(null)
      await beginIncarnation(api)
      const begun = await findIncarnation(api)
      expect(begun).to.be.a('string')
      await beginIncarnation(api)
      expect(await findIncarnation(api)).to.equal(begun)
    })

    it('begins an incarnation if there is none', async () => {
      await superuser.query('delete from invalidation.incarnation')
      expect(await findIncarnation(api)).to.equal(null)
      const session = await openWorkerSession({
        url: urlOf('invalidator'),
        applicationName: 'spms-test-beginner',
        statementTimeoutMs: 10_000,
      })
      await session[Symbol.asyncDispose]()
      expect(await findIncarnation(api)).to.be.a('string')
    })
  })

  for (const [role, statement] of [
    ['api', 'select from invalidation.event'],
    ['api', 'update invalidation.incarnation set id = id'],
    ['api', 'select from invalidation.cursor'],
    ['api', `select invalidation.flush('*')`],
    ['api', 'insert into invalidation.event select * from invalidation.event'],
    ['api', 'select session_key from django_session'],
    ['api', 'select object_repr from django_admin_log'],
    ['api', 'delete from agencies_agency'],
    ['api', 'insert into users_user_groups (user_id, group_id) values (1, 1)'],
    ['api', 'truncate users_user'],
    ['api', 'alter table users_user disable trigger all'],
    ['invalidator', 'select password from users_user'],
    ['invalidator', 'select email from users_user'],
    ['invalidator', 'select reason from adminoptions_admintask'],
    ['invalidator', 'select from django_session'],
    ['invalidator', 'update users_userwork set role = null'],
    ['invalidator', 'delete from invalidation.event_0'],
    ['invalidator', 'update invalidation.rules set version = 9'],
    ['invalidator', 'update invalidation.incarnation set id = id'],
    ['invalidator', `select invalidation.flush('*')`],
    ['invalidator', 'create table invalidation.more ()'],
    ['owner', "select pg_read_file('PG_VERSION')"],
  ] as const) {
    it(`deny spms_${role}: ${statement}`, async () => {
      const failure = await as(role, statement).catch((error: unknown) => error)
      expect(failure).to.have.property('code', '42501')
    })
  }

  describe('removal by spms_owner', () => {
    it('drops the triggers together with the schema', async () => {
      const triggers = async () => {
        const { rows } = await superuser.query<{ count: number }>(
          `select count(*)::integer as count from pg_trigger where tgname like 'zz\\_invalidation%'`,
        )
        return rows[0]?.count
      }
      expect(await triggers()).to.equal(4 * RULES.tables.length)
      await as('owner', 'drop schema invalidation cascade')
      expect(await triggers()).to.equal(0)
      await as('api', 'update users_userwork set role = role')
    })

    it('works with `uninstall`, and everything can be installed again', async () => {
      await installWithGrants()
      await uninstall(urlOf('owner'), 0)
      expect((await readStatus(urlOf('owner'))).version).to.equal(null)
      await installWithGrants()
      expect(await findIncarnation(api)).to.be.a('string')
    })
  })
})

/** Returns the SQL of docs/dba.md with roles of this test. */
async function readOwnSql() {
  const { roles, grants } = await readRoleSql()
  const renamed = (text: string) =>
    text.replaceAll(/\bspms_(owner|api|invalidator|tables)\b/g, `$&_${suffix}`)
  return { roles: renamed(roles), given: renamed(grants) }
}
