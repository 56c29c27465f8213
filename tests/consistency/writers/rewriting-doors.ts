import type { Random } from '../random.ts'
import { type Door, renew } from './doors.ts'
import type { Transaction } from './transaction.ts'

/** Tables that loaders and lookups read, each with a text column. */
const REWRITTEN = [
  ['users_userwork', 'role'],
  ['users_publicstaffprofile', 'expertise'],
  ['projects_projectmember', 'role'],
  ['projects_project', 'title'],
  ['agencies_branch', 'name'],
  ['users_keywordtag', 'name'],
] as const

/** Tables whose rows show in entries through other tables, with the number of their rows. */
const FAR = [
  ['agencies_affiliation', 4],
  ['agencies_branch', 6],
  ['agencies_businessarea', 4],
  ['users_keywordtag', 5],
] as const

/** Holds locks long enough for others to wait, but shorter than the lock time-out of lookups. */
const hold = (trx: Transaction, random: Random) =>
  trx.query(`select pg_sleep(${random.between(20, 190) / 1_000})`)

async function rewrite(trx: Transaction, random: Random): Promise<void> {
  const [table, column] = random.of(REWRITTEN)
  // The type stays the same. The USING expression makes Postgres rewrite every row.
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

/** Doors that rewrite tables. Each holds an exclusive lock on a table until the transaction ends. */
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
