import type { Random } from '../random.ts'
import { VERSION_COLUMN, type VersionedTable } from '../world/versions.ts'
import type { Transaction, TransactionOptions } from './transaction.ts'

/** A kind of write. */
export interface Door {
  readonly name: string
  /** Relative frequency among all doors. */
  readonly weight: number
  readonly options?: (random: Random) => TransactionOptions
  readonly work: (trx: Transaction, random: Random) => Promise<void>
}

/** Tables with the number of rows that exist from the start and are never deleted. */
const FIXED: readonly (readonly [VersionedTable, number])[] = [
  ['users_publicstaffprofile', 6],
  ['projects_project', 5],
  ['users_keywordtag', 5],
  ['agencies_branch', 6],
  ['agencies_businessarea', 4],
  ['agencies_affiliation', 4],
  ['locations_area', 5],
  ['users_user', 8],
  ['users_userwork', 8],
  ['users_userprofile', 8],
  ['contacts_usercontact', 8],
]

const ids = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

/** Writes a new unique version to each of these rows in one statement. */
export async function renew(
  trx: Transaction,
  table: VersionedTable,
  rows: readonly number[],
): Promise<void> {
  const values = rows.map((id) => `(${id}, '${trx.version(table, id)}')`).join(', ')
  await trx.query(
    `update ${table} set ${VERSION_COLUMN[table]} = given.version
     from (values ${values}) as given (id, version) where ${table}.id = given.id`,
  )
}

/** Locks rows in the order of their ids. The plan of an UPDATE could lock them in another order. */
const lock = (trx: Transaction, table: string, rows: readonly number[]) =>
  trx.query(`select from ${table} where id in (${rows.join(', ')}) order by id for update`)

async function renewAny(trx: Transaction, random: Random): Promise<void> {
  const [table, count] = random.of(FIXED)
  await renew(trx, table, [random.between(1, count)])
}

const asynchronous = (trx: Transaction, random: Random) =>
  random.chance(0.3) ? trx.query('set local synchronous_commit = off') : undefined

/** All kinds of writes by SQL. */
export const DOORS: readonly Door[] = [
  {
    name: 'single-row update',
    weight: 8,
    async work(trx, random) {
      await asynchronous(trx, random)
      await renewAny(trx, random)
    },
  },
  {
    name: 'multi-row update',
    weight: 4,
    async work(trx, random) {
      const [table, count] = random.of(FIXED)
      const rows = random.some(ids(count), random.between(2, 4))
      await lock(trx, table, rows)
      await renew(trx, table, rows)
    },
  },
  {
    name: 'a rolled-back transaction',
    weight: 3,
    options: () => ({ isRolledBack: true }),
    work: renewAny,
  },
  {
    name: 'savepoints',
    weight: 3,
    async work(trx, random) {
      await renewAny(trx, random)
      await trx.query('savepoint one')
      await renewAny(trx, random)
      await trx.query('rollback to one')
      await trx.query('savepoint two')
      await renewAny(trx, random)
      await trx.query('release two')
    },
  },
  {
    name: 'repeatable read',
    weight: 2,
    options: () => ({ isolation: 'repeatable read' }),
    work: renewAny,
  },
  {
    name: 'serializable',
    weight: 2,
    options: () => ({ isolation: 'serializable' }),
    async work(trx, random) {
      const [table, count] = random.of(FIXED)
      await trx.query(`select count(*) from ${table}`)
      await renew(trx, table, [random.between(1, count)])
    },
  },
  {
    name: 'a slow transaction',
    weight: 1,
    async work(trx, random) {
      await renewAny(trx, random)
      await trx.query(`select pg_sleep(${random.between(5, 25) / 10})`)
    },
  },
  {
    name: 'several tables in one statement',
    weight: 3,
    async work(trx, random) {
      const [profile, project, branch] = [6, 5, 6].map((count) => random.between(1, count))
      await trx.query(
        `with profiles as (update users_publicstaffprofile set expertise = $1 where id = $2),
              projects as (update projects_project set title = $3 where id = $4)
         update agencies_branch set name = $5 where id = $6`,
        [
          trx.version('users_publicstaffprofile', profile),
          profile,
          trx.version('projects_project', project),
          project,
          trx.version('agencies_branch', branch),
          branch,
        ],
      )
    },
  },
  {
    name: 'COPY into a staging table',
    weight: 2,
    async work(trx, random) {
      const rows = random.some(ids(18), 3)
      const lines = rows.map((id) => `${id},${trx.version('users_employmententry', id)}`)
      await trx.query('create temp table staged (id bigint, version text) on commit drop')
      await trx.query(`copy staged from program '${printing(lines)}' (format csv)`)
      await trx.query(
        `insert into users_employmententry (id, public_profile_id, position_title, start_year)
         select id, 1 + id % 6, version, 2000 from staged order by id
         on conflict (id) do update set position_title = excluded.position_title`,
      )
    },
  },
  {
    name: 'COPY into a watched table',
    weight: 2,
    async work(trx, random) {
      const rows = random.some(ids(18), 3)
      await trx.query(
        `with gone as (select id from users_employmententry where id in (${rows.join(', ')})
                       order by id for update)
         delete from users_employmententry where id in (select id from gone)`,
      )
      const lines = rows.map(
        (id) => `${id},${random.between(1, 6)},${trx.version('users_employmententry', id)},2000`,
      )
      await trx.query(
        `copy users_employmententry (id, public_profile_id, position_title, start_year)
         from program '${printing(lines)}' (format csv)`,
      )
    },
  },
  {
    name: 'MERGE',
    weight: 2,
    async work(trx, random) {
      const rows = random.some(ids(15), 3)
      const values = rows.map((id) => `(${id}, '${trx.version('users_educationentry', id)}')`)
      await trx.query(
        `merge into users_educationentry as entry
         using (select * from (values ${values.join(', ')}) as given (id, version) order by id) given
         on entry.id = given.id
         when matched and given.id % 5 = 0 then delete
         when matched then update set qualification_name = given.version
         when not matched then insert
           (id, public_profile_id, qualification_name, end_year, institution, location)
           values (given.id, 1 + given.id % 6, given.version, 2000, 'Institution', 'Perth')`,
      )
    },
  },
  {
    name: 'upsert',
    weight: 2,
    async work(trx, random) {
      const id = random.between(1, 18)
      await trx.query(
        `insert into users_employmententry (id, public_profile_id, position_title, start_year)
         values ($1, $2, $3, 2000)
         on conflict (id) do update set position_title = excluded.position_title`,
        [id, random.between(1, 6), trx.version('users_employmententry', id)],
      )
    },
  },
  {
    name: 'TRUNCATE and refill',
    weight: 0.3,
    async work(trx) {
      trx.touch('users_educationentry', '*')
      await trx.query('truncate users_educationentry')
      const values = ids(12).map(
        (id) =>
          `(${id}, ${1 + (id % 6)}, '${trx.version('users_educationentry', id)}', 2000, 'I', 'P')`,
      )
      await trx.query(
        `insert into users_educationentry
           (id, public_profile_id, qualification_name, end_year, institution, location)
         values ${values.join(', ')}`,
      )
    },
  },
  {
    name: 'a cascade',
    weight: 1,
    // Deletes or inserts project 6, which other doors do not use. A delete cascades.
    async work(trx, random) {
      for (const table of ['projects_project', 'projects_projectmember', 'projects_projectarea']) {
        trx.touch(table, '*')
      }
      trx.touch('locations_area', '*')
      const [found] = await trx.query('delete from projects_project where id = 6 returning id')
      if (found && random.chance(0.5)) return
      await trx.query(
        `insert into projects_project (id, kind, status, year, number, title)
         values (6, 'science', 'active', 2020, 6, $1)`,
        [trx.version('projects_project', 6)],
      )
      for (const user of [2, 3]) {
        const id = 100 + user
        await trx.query(
          `insert into projects_projectmember (id, project_id, user_id, role)
           values ($1, 6, $2, $3)`,
          [id, user, trx.version('projects_projectmember', id)],
        )
      }
      await trx.query(`insert into projects_projectarea (project_id, areas) values (6, '{1,2}')`)
    },
  },
  {
    name: 'a tag inserted or deleted with its links',
    weight: 1,
    async work(trx, random) {
      trx.touch('users_keywordtag', 6)
      const [found] = await trx.query('delete from users_keywordtag where id = 6 returning id')
      if (found && random.chance(0.5)) return
      await trx.query('insert into users_keywordtag (id, name) values (6, $1)', [
        trx.version('users_keywordtag', 6),
      ])
      await trx.query(
        `insert into users_publicstaffprofile_keyword_tags (publicstaffprofile_id, keywordtag_id)
         select id, 6 from users_publicstaffprofile where id in (1, 3, 5)`,
      )
    },
  },
  {
    name: 'a member moves to another project',
    weight: 2,
    async work(trx, random) {
      const id = random.between(7, 18)
      const project = random.between(1, 5)
      await trx.query(
        `update projects_projectmember member set project_id = $1, role = $2
         where id = $3 and not exists (
           select from projects_projectmember other
           where other.project_id = $1 and other.user_id = member.user_id)`,
        [project, trx.version('projects_projectmember', id), id],
      )
    },
  },
  {
    name: 'an entry moves to another profile',
    weight: 2,
    async work(trx, random) {
      const id = random.between(1, 18)
      await trx.query(
        `update users_employmententry set public_profile_id = $1, position_title = $2 where id = $3`,
        [random.between(1, 6), trx.version('users_employmententry', id), id],
      )
    },
  },
  {
    name: 'a branch and an area move to another parent',
    weight: 1,
    async work(trx, random) {
      const branch = random.between(1, 6)
      await trx.query('update agencies_branch set agency_id = $1, name = $2 where id = $3', [
        random.between(1, 2),
        trx.version('agencies_branch', branch),
        branch,
      ])
      const user = random.between(1, 8)
      await trx.query(
        'update users_userwork set business_area_id = $1, branch_id = $2, role = $3 where id = $4',
        [random.between(1, 4), random.between(1, 6), trx.version('users_userwork', user), user],
      )
    },
  },
  {
    name: 'a profile moves to another user',
    weight: 1,
    async work(trx, random) {
      const id = random.between(1, 6)
      await trx.query(
        `update users_publicstaffprofile set expertise = $1, user_id = (
           select min(person.id) from users_user person where not exists (
             select from users_publicstaffprofile other where other.user_id = person.id))
         where id = $2`,
        [trx.version('users_publicstaffprofile', id), id],
      )
    },
  },
  {
    name: 'a changed link and a changed tag in one transaction',
    weight: 3,
    async work(trx, random) {
      const [profile, tag] = [random.between(1, 6), random.between(1, 5)]
      const change = () => renew(trx, 'users_keywordtag', [tag])
      const toggle = async () => {
        trx.touch('users_keywordtag', tag)
        const [gone] = await trx.query(
          `delete from users_publicstaffprofile_keyword_tags
           where publicstaffprofile_id = $1 and keywordtag_id = $2 returning id`,
          [profile, tag],
        )
        if (gone) return
        await trx.query(
          `insert into users_publicstaffprofile_keyword_tags (publicstaffprofile_id, keywordtag_id)
           values ($1, $2) on conflict do nothing`,
          [profile, tag],
        )
      }
      await trx.query('select from users_keywordtag where id = $1 for update', [tag])
      for (const step of random.shuffled([change, toggle])) await step()
    },
  },
  {
    name: 'changed areas of a project and a renamed area',
    weight: 2,
    async work(trx, random) {
      const project = random.between(1, 5)
      const areas = random.some(ids(5), random.between(0, 3))
      const area = random.between(1, 5)
      trx.touch('locations_area', '*')
      const steps = random.shuffled([
        () => renew(trx, 'locations_area', [area]),
        () =>
          trx.query('update projects_projectarea set areas = $1 where project_id = $2', [
            areas,
            project,
          ]),
      ])
      for (const step of steps) await step()
    },
  },
  {
    name: 'a change of a column that no answer shows',
    weight: 1,
    work: (trx, random) =>
      trx
        .query('update users_user set last_login = now() where id = $1', [random.between(1, 8)])
        .then(() => undefined),
  },
  {
    name: 'a large update',
    weight: 0.2,
    async work(trx) {
      trx.touch('users_employmententry', '*')
      await trx.query('update users_employmententry set start_year = start_year + 1')
    },
  },
]

/** Doors for a role with NOTIFY disabled: Postgres cannot prepare a transaction that notifies. */
export const PREPARED_DOORS: readonly Door[] = [
  {
    name: 'a prepared transaction',
    weight: 1,
    options: (random) => ({ isPrepared: true, isRolledBack: random.chance(0.2) }),
    work: renewAny,
  },
]

/** Returns a shell command that prints lines. The lines must not contain shell metacharacters. */
const printing = (lines: readonly string[]) =>
  `printf "${lines.map((line) => `${line}\\n`).join('')}"`
