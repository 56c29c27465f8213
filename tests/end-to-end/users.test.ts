import { expect } from 'chai'
import { createSessions } from '../../api/session/session.ts'
import { logIn } from '../support/log-in.ts'
import { me, privateUser, user } from '../../shared/shapes/user.ts'
import { type Reply, startSystem, SYSTEM_SECRET, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const CHANGED = 'users/10'
const OTHER = 'users/11'

describe('cached answers about users', function () {
  this.timeout(120_000)
  let system: System
  let headers: Record<string, string>

  before(async () => {
    system = await startSystem()
    headers = await logIn(system.apis[0])
  })
  after(() => system[Symbol.asyncDispose]())

  const get = (path: string): Promise<Reply> => system.get(path, headers)
  const write = (statement: string) => system.sql.query(statement)

  /** Reads until it is a cache hit, so that a later change must be invalidated to be visible. */
  async function warm(path: string): Promise<string> {
    await until(async () => (await get(path)).cache === 'hit')
    return (await get(path)).text
  }

  it('are the same on a hit as on a miss [T47]', async () => {
    // The session bypasses the cache until the write of its log-in has been applied.
    await warm('users/13')
    const miss = await get('users/12')
    expect(miss.cache).to.equal('fwd=miss')
    expect(await warm('users/12')).to.equal(miss.text)
    privateUser.parse(JSON.parse(miss.text))
    me.parse(JSON.parse(await warm('users/me')))
  })

  it('show every write, and stay cached for other users [T46, T48]', async () => {
    const other = await warm(OTHER)
    for (const [statement, shows] of [
      [`update users_user set display_first_name = 'Renamed' where id = 10`, '"Renamed"'],
      [`update users_user set is_active = not is_active where id = 10`, undefined],
      [`update users_user set is_superuser = true where id = 10`, '"is_superuser":true'],
      [`update users_userwork set role = 'Reworked' where user_id = 10`, '"Reworked"'],
      [`delete from users_user where id = 10`, 'User 10 not found'],
    ] as const) {
      const before = await warm(CHANGED)
      await write(statement)
      await until(async () => (await get(CHANGED)).text !== before)
      if (shows) expect((await get(CHANGED)).text).to.include(shows)
      expect(await get(OTHER), statement).to.include({ cache: 'hit', text: other })
    }
  })

  it('show a changed title and phone number to the user and superusers [T46]', async () => {
    for (const [path, id] of [
      ['users/me', 1],
      ['users/13', 13],
    ] as const) {
      for (const statement of [
        `update users_userprofile set title = 'changed' where user_id = ${id}`,
        `update contacts_usercontact set phone = 'changed' where user_id = ${id}`,
      ]) {
        const before = await warm(path)
        await write(statement)
        await until(async () => (await get(path)).text !== before)
      }
    }
  })

  it('show hidden texts and contact data only to their owner and superusers, even on cache hits', async () => {
    const { rows } = await system.sql.query<{ id: string; password: string; about: string }>(`
      select person.id, person.password, profile.about
      from users_publicstaffprofile profile join users_user person on person.id = profile.user_id
      where not is_hidden and is_active and not is_superuser and about <> ''
      order by person.id desc limit 2`)
    const [owner, other] = rows
    if (!owner || !other) throw new Error('the seed has no two visible profiles')
    const sessions = createSessions([SYSTEM_SECRET])
    const as = async ({ id, password }: { readonly id: string; readonly password: string }) => ({
      Cookie: `spms_session=${await sessions.issue(id, password)}`,
    })
    const viewers = [headers, await as(owner), await as(other)]
    const shown = () =>
      Promise.all(
        viewers.map(async (viewer, n) => {
          const { text } = await system.get(`users/${owner.id}`, viewer)
          const shape = n < 2 ? privateUser : user
          return shape.parse(JSON.parse(text)).about === owner.about
        }),
      )
    for (const [isHidden, seen] of [
      [false, [true, true, true]],
      [true, [true, true, false]],
      [false, [true, true, true]],
    ] as const) {
      await write(
        `update users_publicstaffprofile set is_hidden = ${isHidden} where user_id = ${owner.id}`,
      )
      await until(async () => JSON.stringify(await shown()) === JSON.stringify(seen))
      // The same must hold when all of them are cache hits.
      await until(async () => {
        const answers = await Promise.all(
          viewers.map((viewer) => system.get(`users/${owner.id}`, viewer)),
        )
        return answers.every(({ cache }) => cache === 'hit')
      })
      expect(await shown()).to.deep.equal(seen)
    }
  })

  it('stay cached after a log-in', async () => {
    await warm(OTHER)
    await warm('users/12')
    await write(`update users_user set last_login = now() where id = 11`)
    await write(`update users_user set password = 'another' where id = 11`)
    // When a later change has been applied, the changes above have been too.
    const before = await warm('users/12')
    await write(`update users_user set first_name = first_name || '~' where id = 12`)
    await until(async () => (await get('users/12')).text !== before)
    expect(await get(OTHER)).to.include({ cache: 'hit' })
  })

  it('do not show a caretaker after its end date, without another write', async () => {
    const path = 'users/13'
    const actsFor = async () =>
      privateUser.parse(JSON.parse((await get(path)).text)).caretakers.length
    await write(`delete from caretakers_caretaker where 13 in (user_id, caretaker_id)`)
    await write(`
      insert into caretakers_caretaker (user_id, caretaker_id, end_date)
      values (13, 14, clock_timestamp() + interval '4 seconds')`)
    await until(async () => (await actsFor()) === 1)
    await until(async () => {
      const { rows } = await system.sql.query<{ over: boolean }>(
        `select end_date < clock_timestamp() as over from caretakers_caretaker where user_id = 13`,
      )
      return rows[0]?.over ?? false
    })
    expect(await actsFor()).to.equal(0)
  })
})
