import { expect } from 'chai'
import { sql } from 'kysely'
import { hashPassword } from '../../api/session/password.ts'
import { createSessions } from '../../api/session/session.ts'
import { privateUser } from '../../shared/shapes/user.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { httpConfig } from './test-api.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'

describeOnBothTables('writes of users over HTTP', (api) => {
  const put = (body: unknown, as = SUE, id: number | string = LEA) =>
    api.send('PUT', `users/${id}`, { as, body })
  const toggle = (path: 'toggleactive' | 'admin', as = SUE, id: number | string = LEA) =>
    api.send('POST', `users/${id}/${path}`, { as })
  const remove = (as = SUE, id: number | string = LEA) => api.send('DELETE', `users/${id}`, { as })
  const stored = async (id = LEA) => {
    const { rows } = await sql<Record<string, unknown>>`
      select *, xmin::text as version from users_user where id = ${id}
    `.execute(api.db)
    return rows[0]
  }

  describe('PUT /users/:id', () => {
    it('lets a superuser change everything except secrets [T13]', async () => {
      const { version, ...before } = (await stored()) ?? {}
      const change = {
        username: 'léa@spms.test',
        email: 'new@spms.test',
        first_name: 'New',
        last_name: null,
        display_first_name: 'Shown',
        display_last_name: 'Name',
        is_superuser: true,
        is_staff: false,
        is_active: false,
        is_aec: true,
      }
      const secrets = { id: 9, password: 'x', last_login: '2020-01-01', groups: [1], old_pk: 4 }
      const { status, headers, body } = await put({ ...change, ...secrets })
      expect(status).to.equal(200)
      expect(headers['cache-control']).to.equal('no-store')
      expect(privateUser.parse(body)).to.deep.include({ id: LEA, ...change })
      const { version: after, ...row } = (await stored()) ?? {}
      expect(row).to.deep.equal({ ...before, ...change })
      expect(after).not.to.equal(version)
    })

    it('lets users change their own names and addresses', async () => {
      const own = { username: 'lea2', email: 'lea@spms.test', first_name: 'L', last_name: 'A' }
      const { status, body } = await put(own, LEA)
      expect(status).to.equal(200)
      expect(body).to.include(own)
    })

    describe('with a new e-mail address of the current user', () => {
      const email = 'lea2@spms.test'
      const setPassword = async (id: number) => {
        const password = await hashPassword('correct horse', 1_000)
        await sql`update users_user set password = ${password} where id = ${id}`.execute(api.db)
        const token = await createSessions(httpConfig.sessionSecrets).issue(String(id), password)
        const headers = await sessionHeaders(token, httpConfig.sessionSecrets[0])
        return (body: object) => api.send('PUT', `users/${id}`, { body, headers })
      }

      it('requires the current password, also from superusers', async () => {
        for (const id of [LEA, SUE]) {
          const change = await setPassword(id)
          for (const given of [{}, { current_password: '' }, { current_password: 'wrong' }]) {
            const { status, body } = await change({ email, ...given })
            expect(status).to.equal(400)
            expect(body).to.have.property('current_password').that.is.an('array')
          }
          expect(await stored(id)).not.to.include({ email })
          const { status, body } = await change({ email, current_password: 'correct horse' })
          expect(status).to.equal(200)
          expect(body).to.include({ email }).and.not.have.property('current_password')
          expect((await change({ email, first_name: 'Same' })).status).to.equal(200)
          await sql`update users_user set email = null where id = ${id}`.execute(api.db)
        }
      })

      it('limits wrong passwords like log-ins', async () => {
        const change = await setPassword(MEL)
        for (let i = 0; i < 10; i++) {
          expect((await change({ email, current_password: `${i}` })).status).to.equal(400)
        }
        expect((await change({ email, current_password: 'correct horse' })).status).to.equal(429)
      })
    })

    it('stores user names normalized to NFKC, as log-ins look for them', async () => {
      expect((await put({ username: 'ﬁona' })).body).to.include({ username: 'fiona' })
    })

    it('rejects flags from users with 403, even if the value does not change', async () => {
      const before = await stored()
      for (const flags of [
        { is_superuser: true },
        { is_superuser: false },
        { is_superuser: 'yes' },
        { is_staff: null, username: 5 },
        { is_staff: true },
        { is_active: true },
        { is_aec: true },
      ]) {
        expect((await put({ first_name: 'L', ...flags }, LEA)).status).to.equal(403)
      }
      expect(await stored()).to.deep.equal(before)
    })

    it('replaces an empty display name by the name of the user', async () => {
      await sql`update users_user set display_first_name = null, display_last_name = ''
        where id = ${LEA}`.execute(api.db)
      const named = await put({ first_name: 'Leah' })
      expect(named.body).to.include({ display_first_name: 'Leah', display_last_name: 'Ash' })
      const cleared = await put({ first_name: '', last_name: null, display_first_name: '' })
      expect(cleared.body).to.include({ display_first_name: '', display_last_name: 'Ash' })
    })

    it('writes nothing if no value changes, and accepts the current user name', async () => {
      const before = await stored()
      for (const body of [{}, { username: 'lea', email: 'lea@spms.test' }, { colour: 'red' }]) {
        expect((await put(body)).status).to.equal(200)
      }
      expect(await stored()).to.deep.equal(before)
    })

    it('answers 409 if another user has the user name or the e-mail address', async () => {
      for (const [body, field, message] of [
        [{ username: 'mel' }, 'username', 'A user with that username already exists.'],
        [{ email: 'mel@spms.test' }, 'email', 'user with this email already exists.'],
        [{ email: 'Mel@SPMS.test' }, 'email', 'user with this email already exists.'],
      ] as const) {
        const answer = await put(body)
        expect(answer.status).to.equal(409)
        expect(answer.body).to.have.property('detail', message)
        expect(answer.body).to.have.property(field).that.deep.equals([message])
      }
      const answers = await Promise.all([
        put({ email: 'a@b.test' }),
        put({ email: 'a@b.test' }, SUE, MEL),
      ])
      expect(answers.map(({ status }) => status)).to.have.members([200, 409])
      const inBothCases = await Promise.all([
        put({ email: 'c@d.test' }),
        put({ email: 'C@D.test' }, SUE, MEL),
      ])
      expect(inBothCases.map(({ status }) => status)).to.have.members([200, 409])
    })

    it('accepts several users without an e-mail address', async () => {
      for (const id of [LEA, MEL]) {
        expect((await put({ email: '' }, SUE, id)).body).to.include({ email: null })
      }
    })

    it('keeps concurrent changes of different fields', async () => {
      const changes = [
        { username: 'a' },
        { email: 'a@b.test' },
        { first_name: 'A' },
        { last_name: 'B' },
        { is_staff: false },
        { is_aec: true },
      ]
      const answers = await Promise.all(changes.map((change) => put(change)))
      expect(answers.map(({ status }) => status)).to.deep.equal(changes.map(() => 200))
      expect(await stored()).to.include(Object.assign({}, ...changes))
    })

    it('checks the rights after waiting for another change of the same user', async () => {
      const waiting = await api.db.transaction().execute(async (other) => {
        await sql`update users_user set last_name = 'Other' where id = ${LEA}`.execute(other)
        const change = put({ first_name: 'Late' })
        await sql`select pg_sleep(0.1)`.execute(other)
        await sql`update users_user set is_superuser = false where id = ${SUE}`.execute(api.db)
        return { change }
      })
      expect((await waiting.change).status).to.equal(403)
      expect(await stored()).to.include({ first_name: 'Lea', last_name: 'Other' })
    })

    it('rejects invalid fields with 400 and a message each', async () => {
      const before = await stored()
      for (const [body, field, message] of [
        [{ username: '' }, 'username', /may not be blank/],
        [{ username: null }, 'username', /may not be null/],
        [{ username: 'a b' }, 'username', /valid username/],
        [{ username: 'x'.repeat(151) }, 'username', /no more than 150/],
        [{ email: 'nowhere' }, 'email', /valid email/],
        [{ first_name: 'x'.repeat(101) }, 'first_name', /no more than 100/],
        [{ last_name: 5 }, 'last_name', /Not a valid string/],
        [{ display_first_name: 'x'.repeat(202) }, 'display_first_name', /no more than 201/],
        [{ display_last_name: '\0' }, 'display_last_name', /Null characters/],
        [{ is_superuser: 'yes' }, 'is_superuser', /valid boolean/],
        [{ is_staff: null }, 'is_staff', /may not be null/],
        [{ is_active: 1 }, 'is_active', /valid boolean/],
        [{ is_aec: 0 }, 'is_aec', /valid boolean/],
      ] as const) {
        const answer = await put({ first_name: 'New', ...body })
        expect(answer.status, field).to.equal(400)
        expect(String(Object(answer.body)[field])).to.match(message)
      }
      expect(await stored()).to.deep.equal(before)
    })
  })

  for (const [path, flag] of [
    ['toggleactive', 'is_active'],
    ['admin', 'is_superuser'],
  ] as const) {
    describe(`POST /users/:id/${path}`, () => {
      it('inverts the flag [T15, T16]', async () => {
        const before = await stored()
        const { status, body } = await toggle(path)
        expect(status).to.equal(200)
        expect(privateUser.parse(body)).to.include({ id: LEA, [flag]: !before?.[flag] })
        expect((await toggle(path)).body).to.include({ [flag]: before?.[flag] })
        await Promise.all([toggle(path), toggle(path), toggle(path)])
        expect(await stored()).to.include({ [flag]: !before?.[flag] })
      })
    })
  }

  it('take effect on sessions and rights with the next request', async () => {
    await toggle('toggleactive', SUE, MEL)
    expect((await put({}, MEL, MEL)).status).to.equal(401)
    await toggle('admin', SUE, OUT)
    expect((await put({ last_name: 'X' }, OUT, LEA)).status).to.equal(200)
    await toggle('admin', OUT, SUE)
    expect((await put({ last_name: 'Y' }, SUE, LEA)).status).to.equal(403)
  })

  it('are rejected with 403 from other users, also from staff [T14, T15, T16]', async () => {
    for (const [as, wanted] of [
      [MEL, 403],
      [OUT, 403],
      [OLD, 401],
    ] as const) {
      const answers = [
        await put({ is_staff: 5 }, as),
        await remove(as),
        await toggle('admin', as),
        await toggle('toggleactive', as),
      ]
      expect(answers.map(({ status }) => status)).to.deep.equal([wanted, wanted, wanted, wanted])
    }
    expect((await remove(LEA)).status).to.equal(403)
    expect((await toggle('admin', LEA)).status).to.equal(403)
    for (const id of ['999', TOO_BIG]) {
      const answers = (as: number) =>
        Promise.all([
          put({}, as, id),
          remove(as, id),
          toggle('admin', as, id),
          toggle('toggleactive', as, id),
        ])
      for (const { status, body } of await answers(SUE)) {
        expect(status).to.equal(404)
        expect(body).to.include({ detail: `User ${id} not found` })
      }
      // The second id exceeds bigint, so it is not found for any user.
      for (const { status } of await answers(LEA)) expect(status).to.equal(id === '999' ? 403 : 404)
    }
    const headers = { 'X-CSRFToken': 'wrong' }
    for (const [method, path, allow] of [
      ['PUT', 'users/1', 'GET, PUT, DELETE, HEAD'],
      ['DELETE', 'users/1', 'GET, PUT, DELETE, HEAD'],
      ['POST', 'users/1/toggleactive', 'POST'],
      ['POST', 'users/1/admin', 'POST'],
    ] as const) {
      expect((await api.send(method, path, { body: {} })).status).to.equal(401)
      expect((await api.send(method, path, { as: SUE, body: {}, headers })).status).to.equal(403)
      const patched = await api.send('PATCH', path, { as: SUE, body: {} })
      expect(patched.status).to.equal(405)
      expect(patched.headers['allow']).to.equal(allow)
    }
  })

  it('delete a user once, and answer 404 to a concurrent deletion [T14]', async () => {
    const answers = await Promise.all([remove(), remove()])
    expect(answers.map(({ status }) => status)).to.have.members([204, 404])
    expect(answers.map(({ body }) => body)).to.include('')
    expect(await stored()).to.equal(undefined)
    expect((await put({}, LEA)).status).to.equal(401)
  })
})
