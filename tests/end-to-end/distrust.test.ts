import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { install } from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

// A bound so long that it cannot make answers correct in this test.
const BOUND_MS = 3_600_000

describe('an API whose cached values are invalid', function () {
  this.timeout(60_000)

  let system: System
  let id: string
  before(async () => {
    system = await startSystem({ env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff limit 1`,
    )
    id = rows[0]?.id ?? ''
  })
  after(() => system[Symbol.asyncDispose]())

  const read = () => system.get(`users/staffprofiles/${id}/hero`)
  const write = (about: string) =>
    system.sql.query('update users_publicstaffprofile set about = $1 where id = $2', [about, id])
  const untilHit = (about: string) =>
    until(async () => {
      const { cache, text } = await read()
      return cache === 'hit' && text.includes(`"${about}"`)
    })
  const detailOf = ({ headers }: Awaited<ReturnType<typeof read>>) =>
    /detail=(.*)/.exec(headers.get('cache-status') ?? '')?.[1]

  it('reads from Postgres while triggers are disabled', async () => {
    await write('whole')
    await untilHit('whole')
    await system.sql.query('alter table users_publicstaffprofile disable trigger user')
    await write('in silence')
    await until(async () => detailOf(await read()) === 'triggers')
    expect((await read()).text).to.contain('"in silence"')

    await install(system.databaseUrl, compileRules(catalog))
    await untilHit('in silence')
  })

  it('does not serve values of a previous incarnation', async () => {
    await write('of this incarnation')
    await untilHit('of this incarnation')
    await system.invalidator.kill()
    await write('of the next incarnation')
    expect((await read()).text).to.contain('"of this incarnation"')
    await system.sql.query('update invalidation.incarnation set id = $1', [randomUUID()])
    await until(async () => (await read()).text.includes('"of the next incarnation"'))
    await system.invalidator.start()
    await untilHit('of the next incarnation')
  })
})
