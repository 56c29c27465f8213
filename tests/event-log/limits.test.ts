import { expect } from 'chai'
import { DatabaseError } from 'pg'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

describe('writers with resource limits', () => {
  let log: EventLog

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
  })
  after(() => log[Symbol.asyncDispose]())

  it('use no subtransaction id in triggers, for any number of statements', async () => {
    const { client } = log
    await client.query(`insert into bird select id, 'b', 1, '{}', 1 from generate_series(1, 3) id`)
    await log.entries()
    await client.query('begin')
    await client.query(`update bird set name = 'c' where id = 1`)
    await client.query(`update bird set name = 'd'`)
    await client.query('delete from bird')
    const { rows } = await client.query<{ events: number; own: boolean }>(
      `select count(*)::int as events, bool_and(xmin = pg_current_xact_id()::xid) as own
       from invalidation.event`,
    )
    await client.query('commit')
    expect(rows).to.eql([{ events: 3, own: true }])
  })

  it('log a trigger fault if temp_file_limit stops the trigger, and the write succeeds', async () => {
    const { client } = log
    const limited = await log.connect()
    await limited.query(
      `set work_mem = '256kB'; set hash_mem_multiplier = 1; set temp_file_limit = 0`,
    )
    await client.query('delete from bird')
    await client.query(
      `insert into bird select id, 'b', 1, '{}', 1 from generate_series(1, 9000) id`,
    )
    const seen: string[] = []
    for (let count = 500; count <= 9000; count += 500) {
      await log.entries()
      try {
        await limited.query(`update bird set name = name || 'x' where id <= ${count}`)
      } catch (error) {
        // The transition table itself exceeds the limit.
        expect(error).to.be.instanceOf(DatabaseError).with.property('code', '53400')
        seen.push('error')
        break
      }
      const [first] = await log.entries()
      seen.push(first?.op ?? 'nothing')
    }
    expect(seen).to.include('X')
    expect(seen).to.include('error')
    await limited.end()
  })
})
