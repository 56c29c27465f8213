import type { Random } from '../random.ts'
import { type Door, renew } from './doors.ts'
import type { Transaction } from './transaction.ts'

/** Tables that loaders and lookups read, and a column of text of each. */
const REWRITTEN = [
  ['users_userwork', 'role'],
  ['users_publicstaffprofile', 'expertise'],
  ['projects_projectmember', 'role'],
  ['projects_project', 'title'],
  ['agencies_branch', 'name'],
  ['users_keywordtag', 'name'],
] as const

/** Changes that show by way of other tables. */
const FAR = [
  ['agencies_affiliation', 4],
  ['agencies_branch', 6],
  ['agencies_businessarea', 4],
  ['users_keywordtag', 5],
] as const

/** Long enough for others to come and wait, and below the time that lookups wait for a lock. */
const hold = (trx: Transaction, random: Random) =>
  trx.query(`select pg_sleep(${random.between(20, 190) / 1_000})`)

async function rewrite(trx: Transaction, random: Random): Promise<void> {
  const [table, column] = random.of(REWRITTEN)
  // The type as it is; an expression makes Postgres write every row anew.
  const [{ type } = { type: '' }] = await trx.query(
    `select format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = $1::regclass and attname = $2`,
    [table, column],
  )
  await trx.query(
    `alter table ${table} alter column ${column} type ${String(type)} using ${column} || ''`,
  )
}

async function renewFar(trx: Transaction, random: Random): Promise<void> {
  const [table, count] = random.of(FAR)
  await renew(trx, table, [random.between(1, count)])
}

/** Doors of those who change tables themselves. Each takes a table for itself, to the end. */
export const REWRITING_DOORS: readonly Door[] = [
  {
    name: 'a rewritten table',
    weight: 4,
    async work(trx, random) {
      await rewrite(trx, random)
      await hold(trx, random)
    },
  },
  {
    name: 'a rewritten table, then a change',
    weight: 2,
    async work(trx, random) {
      await rewrite(trx, random)
      await hold(trx, random)
      await renewFar(trx, random)
    },
  },
  {
    name: 'a change, then a rewritten table',
    weight: 2,
    async work(trx, random) {
      await renewFar(trx, random)
      await rewrite(trx, random)
      await hold(trx, random)
    },
  },
  {
    name: 'links that are truncated and refilled',
    weight: 2,
    async work(trx, random) {
      trx.touch('users_publicstaffprofile_keyword_tags', '*')
      const table = 'users_publicstaffprofile_keyword_tags'
      await trx.query(`create temp table links on commit drop as select * from ${table} limit 0`)
      await trx.query(`lock table ${table} in access exclusive mode`)
      await trx.query(`insert into links select * from ${table}`)
      await trx.query(`truncate ${table}`)
      await trx.query(`insert into ${table} (publicstaffprofile_id, keywordtag_id)
                       select publicstaffprofile_id, keywordtag_id from links`)
      await hold(trx, random)
    },
  },
]
