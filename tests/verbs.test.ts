import { once } from 'node:events'
import { expect } from 'chai'
import { runCli, startCli } from './support/cli.ts'
import { startSystem, type System } from './support/system.ts'
import { testRedisUrl } from './support/invalidator.ts'
import { until } from './support/until.ts'

const PROFILE = 'users/staffprofiles/1'

describe('an operator', function () {
  this.timeout(60_000)
  let system: System
  let key: string

  before(async () => {
    system = await startSystem()
    key = `${system.prefix}/v1/staff:profile:1`
  })
  after(() => system[Symbol.asyncDispose]())

  const target = () => ({ ...system, redisUrl: testRedisUrl() })
  const run = (...words: string[]) => runCli(target(), ...words)

  const warm = () => until(async () => (await system.get(PROFILE)).cache === 'hit')

  describe('asks to explain', () => {
    it('a URL: what it is answered from, since when, and what would make that stale', async () => {
      await warm()
      const { output, code } = await run('explain', `/api/v1/${PROFILE}`)
      expect(output).to.contain(`GET /api/v1/${PROFILE} is answered with 200`)
      expect(output).to.contain(`staff:profile  ${key}`)
      expect(output).to.match(
        /^ {2}full: \d+ bytes, cached \d+\.\d s ago, fresh for \d+\.\d s more$/m,
      )
      expect(output).to.match(
        /^ {4}users_publicstaffprofile \(.*expertise.*\) where id is \{profile_id\}$/m,
      )
      expect(code).to.equal(0)
    })

    it('a URL that needs a session, as somebody', async () => {
      const { rows } = await system.sql.query<{ id: string }>(
        'select id from users_user where is_active and is_staff order by id limit 1',
      )
      const id = rows[0]?.id ?? ''
      expect((await run('explain', '/api/v1/users/me')).output).to.contain('add --as <user id>')
      const { output, code } = await run('explain', '/api/v1/users/me', '--as', id)
      expect(output).to.contain(`user:access  ${system.prefix}/v2/user:${id}:access`)
      expect(output).to.contain('user:me  ')
      expect(code).to.equal(0)
    })

    it('a URL without knowing the secret of sessions, except what is named by it', async () => {
      const blind = { ...target(), sessionSecrets: '' }
      const { output, code } = await runCli(blind, 'explain', 'users/me', '--as', '1')
      expect(output).to.contain('GET /api/v1/users/me is answered with 200')
      expect(output).to.contain('nothing can be said of user:access')
      expect(output).to.contain(`user:me  ${system.prefix}/v1/user:1:me`)
      expect(output).not.to.contain(`user:access  `)
      expect(code).to.equal(0)
    })

    it('a key, also one that is not cached', async () => {
      await warm()
      expect((await run('explain', key)).output).to.match(/^ {2}full: \d+ bytes/m)
      expect((await run('explain', 'staff:profile:987654')).output).to.contain('  not cached')
    })

    it('what nothing is answered from, and is told so', async () => {
      const { complaint, code } = await run('explain', 'staff:nonsense:1')
      expect(complaint.trim()).to.equal('staff:nonsense:1 is answered from nothing that is cached')
      expect(code).to.equal(1)
      const nobody = await run('explain', 'users/me', '--as', 'admin')
      expect(nobody.complaint.trim()).to.equal('--as: takes the id of a user')
    })
  })

  describe('watches', () => {
    it('changes as they are committed, and what is forgotten for each', async () => {
      const child = await startCli(target(), 'tail')
      let output = ''
      child.stdout.on('data', (data: Buffer) => (output += data.toString()))
      await until(() => output.includes('waiting for changes'))
      // It begins with what is committed after its first look.
      await until(async () => {
        await system.sql.query(
          'update users_publicstaffprofile set expertise = clock_timestamp()::text where id = 1',
        )
        return output.includes('users_publicstaffprofile')
      })
      await until(() => output.includes(`forget ${key}`))
      expect(output).to.match(
        /^[\d:.]+ {2}update {2}users_publicstaffprofile \(expertise\) {2}.*\[1, /m,
      )
      child.kill('SIGINT')
      expect((await once(child, 'exit'))[0]).to.equal(0)
    })
  })

  describe('has forgotten', () => {
    for (const what of ['staff:profile', 'staff:profile:*', () => key]) {
      const named = () => (typeof what === 'string' ? what : what())
      it(`all entries of ${typeof what === 'string' ? what : 'the resource of a key'}`, async () => {
        await warm()
        const { output, code } = await run('flush', named())
        expect(output).to.contain('asked for: staff:profile').and.to.contain('forgotten')
        expect(code).to.equal(0)
        expect((await system.get(PROFILE)).cache).to.equal('fwd=miss')
      })
    }

    it('nothing by a name that nothing has', async () => {
      const { complaint, code } = await run('flush', 'staff:profiles')
      expect(complaint).to.contain('resources are ').and.to.contain('staff:profile')
      expect(code).to.equal(1)
    })

    it('nothing while nobody does it, and is told so', async () => {
      await system.invalidator.kill()
      const { complaint, code } = await run('flush', 'staff:profile')
      expect(complaint).to.contain('is an invalidator running?')
      expect(code).to.equal(1)
      await system.invalidator.start()
    })
  })

  for (const verb of ['explain', 'tail', 'flush', 'status', 'doctor', 'verify']) {
    it(`asks how to ${verb}`, async () => {
      const { output, code } = await run(verb, '--help')
      expect(output).to.contain(`Usage: spms ${verb}`)
      expect(code).to.equal(0)
    })
  }
})
