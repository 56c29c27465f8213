import { setTimeout as sleep } from 'node:timers/promises'
import type { Door } from '../writers/doors.ts'
import type { Fault } from './fault.ts'

const TIMES = 4
const CROWD = 10_000

/** Faults of the event log. */
export const EVENT_LOG_FAULTS: readonly Fault[] = [
  {
    name: 'log-emptied',
    takes: 'nothing',
    holdMs: 0,
    // While an invalidator runs, `empty-log` is rejected or no event is missed.
    async inject({ stage }) {
      for (let time = 0; time < TIMES; time++) await stage.emptyLog()
      return async () => {}
    },
  },
  {
    name: 'log-emptied-without-invalidator',
    takes: 'nothing',
    holdMs: 500,
    async inject({ stage, allowances }) {
      await stage.system.invalidator.kill()
      // Postgres needs time to close the connection.
      await sleep(1_000)
      const span = allowances.begin('log locked')
      // Retries, since Postgres may need longer to end the session.
      let isDone = false
      for (let time = 0; time < TIMES && !isDone; time++) isDone = await stage.emptyLog()
      allowances.end(span)
      return async () => {
        await stage.system.invalidator.start()
        const what = 'empty-log failed although no invalidator ran'
        return isDone ? [] : [{ guarantee: 'G5', what, timeline: [] }]
      }
    },
  },
  {
    name: 'huge-transactions',
    takes: 'nothing',
    holdMs: 0,
    isForLongRuns: true,
    async inject({ write, isLong }) {
      const door = hugeTransaction(isLong ? 60 : 25)
      // The transaction runs once; afterwards the writer is idle.
      let isBegun = false
      let end = () => {}
      const done = new Promise<void>((resolve) => (end = resolve))
      const writer = write([
        {
          ...door,
          async work(trx, drawn) {
            if (isBegun) return sleep(100)
            isBegun = true
            await door.work(trx, drawn).finally(end)
          },
        },
      ])
      await done
      return () => writer.stop()
    },
  },
]

/** Many statements in one transaction. Each changes thousands of rows that have different keys. */
const hugeTransaction = (statements: number): Door => ({
  name: 'a huge transaction',
  weight: 1,
  async work(trx, random) {
    await trx.query(
      `insert into users_user
         (id, password, is_superuser, is_staff, username, first_name, last_name, email,
          display_first_name, display_last_name)
       select n, '-', false, false, 'crowd' || n, 'First', 'Last', 'crowd' || n || '@spms.test', '', ''
       from generate_series(1000000, ${1_000_000 + CROWD - 1}) n
       on conflict do nothing`,
    )
    const tag = random.between(1, 5)
    await trx.query('update users_keywordtag set name = $1 where id = $2', [
      trx.version('users_keywordtag', tag),
      tag,
    ])
    for (let n = 0; n < statements; n++) {
      await trx.query(`update users_user set display_last_name = $1 where id >= 1000000`, [
        `${trx.number} ${n}`,
      ])
    }
    const branch = random.between(1, 6)
    await trx.query('update agencies_branch set name = $1 where id = $2', [
      trx.version('agencies_branch', branch),
      branch,
    ])
  },
})
