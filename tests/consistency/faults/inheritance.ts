import { until } from '../../support/until.ts'
import { onPostgres } from '../stage/on-postgres.ts'
import type { Transaction } from '../writers/transaction.ts'
import type { Door } from '../writers/doors.ts'
import type { Fault, Scene } from './fault.ts'
import { change } from './schema.ts'

const FIRST_CHILD_ID = 900
const CHILDREN = 6

/**
 * Table inheritance. Statement triggers fire only on the table that the statement names, not on
 * child tables whose rows it changes.
 */
export const INHERITANCE_FAULTS: readonly Fault[] = [
  {
    name: 'table-inherits',
    takes: 'nothing',
    holdMs: 5_000,
    async inject(scene) {
      const span = scene.allowances.begin('silent', 'users_publicstaffprofile')
      await change(
        scene,
        `create table staff_parents (like users_publicstaffprofile);
         alter table users_publicstaffprofile inherit staff_parents`,
      )
      const writer = scene.write([THROUGH_A_PARENT])
      return async () => {
        await writer.stop()
        await change(
          scene,
          `alter table users_publicstaffprofile no inherit staff_parents; drop table staff_parents`,
        )
        scene.allowances.end(span)
      }
    },
  },
  {
    name: 'table-inherited',
    takes: 'nothing',
    holdMs: 5_000,
    async inject(scene) {
      const span = scene.allowances.begin('silent', 'users_educationentry')
      await change(
        scene,
        `create table education_children () inherits (users_educationentry);
         select checker.give('education_children', 'users_educationentry');
         select checker.watch('education_children', 'users_educationentry')`,
      )
      const writer = scene.write([IN_A_CHILD])
      return async () => {
        await writer.stop()
        // A writer deletes the rows: without a recorded write they would count as never present.
        const emptying = scene.write([EMPTIES_THE_CHILD])
        await until(() => isEmpty(scene, 'education_children'))
        await emptying.stop()
        await change(scene, 'drop table education_children')
        // Postgres keeps `relhassubclass` until ANALYZE, and the table is not cached until then.
        await change(scene, 'analyze users_educationentry')
        scene.allowances.end(span)
      }
    },
  },
]

const THROUGH_A_PARENT: Door = {
  name: 'an update through a parent',
  weight: 1,
  async work(trx, random) {
    const id = random.between(1, 6)
    await trx.query('update staff_parents set expertise = $1 where id = $2', [
      trx.version('users_publicstaffprofile', id),
      id,
    ])
  },
}

const IN_A_CHILD: Door = {
  name: 'rows of a child',
  weight: 1,
  async work(trx, random) {
    const id = FIRST_CHILD_ID + random.between(1, CHILDREN)
    const [gone] = random.chance(0.3) ? await remove(trx, id) : []
    if (gone) return
    const version = trx.version('users_educationentry', id)
    const [there] = await trx.query(
      'update education_children set qualification_name = $1 where id = $2 returning id',
      [version, id],
    )
    if (there) return
    await trx.query(
      `insert into education_children
         (id, public_profile_id, qualification_name, end_year, institution, location)
       values ($1, $2, $3, 2000, 'Institution', 'Perth')`,
      [id, 1 + (id % 6), version],
    )
  },
}

const EMPTIES_THE_CHILD: Door = {
  name: 'deletion of all rows of a child',
  weight: 1,
  async work(trx) {
    for (let n = 1; n <= CHILDREN; n++) await remove(trx, FIRST_CHILD_ID + n)
  },
}

const isEmpty = ({ stage }: Scene, table: string): Promise<boolean> =>
  onPostgres(
    stage.postgres.url,
    async (client) => (await client.query(`select from ${table} limit 1`)).rowCount === 0,
  )

const remove = (trx: Transaction, id: number) => {
  trx.touch('users_educationentry', id)
  return trx.query('delete from education_children where id = $1 returning id', [id])
}
