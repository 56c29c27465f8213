import { once } from 'node:events'
import { expect } from 'chai'
import { runCli, startCli } from './support/cli.ts'
import { startSystem, type System } from './support/system.ts'
import { testRedisUrl } from './support/invalidator.ts'
import { bareKey } from '../shared/cache/index.ts'
import { until } from './support/until.ts'

const PROFILE = 'users/staffprofiles/1'

describe('npm run spms', function () {
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

  describe('explain', () => {
    it('prints the entries behind a URL, their ages, and what makes them stale', async () => {
      await warm()
      const { output, code } = await run('explain', `/api/v1/${PROFILE}`)
      expect(output).to.contain(`GET /api/v1/${PROFILE} returns 200`)
      expect(output).to.contain(`staff:profile  ${key}`)
      expect(output).to.match(
        /^ {2}full: \d+ bytes \(\d+ as gzip\), cached \d+\.\d s ago, fresh for \d+\.\d s more$/m,
      )
      expect(output).to.match(
        /^ {4}users_publicstaffprofile \(.*expertise.*\) where id is \{profile_id\}$/m,
      )
      expect(code).to.equal(0)
    })

    it('requests a URL as the user of --as', async () => {
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

    it('omits user:access without SESSION_SECRETS', async () => {
      const withoutSecret = { ...target(), sessionSecrets: '' }
      const { output, code } = await runCli(withoutSecret, 'explain', 'users/me', '--as', '1')
      expect(output).to.contain('GET /api/v1/users/me returns 200')
      expect(output).to.contain('cannot explain user:access')
      expect(output).to.contain(`user:me  ${system.prefix}/v2/user:1:me`)
      expect(output).not.to.contain(`user:access  `)
      expect(code).to.equal(0)
    })

    it('explains keys, cached or not', async () => {
      await warm()
      expect((await run('explain', key)).output).to.match(/^ {2}full: \d+ bytes/m)
      expect((await run('explain', 'staff:profile:987654')).output).to.contain('  not cached')
    })

    it('rejects unknown keys and invalid user ids', async () => {
      const { complaint, code } = await run('explain', 'staff:nonsense:1')
      expect(complaint).to.contain('staff:nonsense:1 is not a key; keys have the form ')
      expect(code).to.equal(1)
      const invalid = await run('explain', 'users/me', '--as', 'admin')
      expect(invalid.complaint.trim()).to.equal('--as: expected the id of a user, got admin')
    })
  })

  describe('tail', () => {
    it('prints the changes of `/events`, and the entries that each invalidates', async () => {
      // It finds the invalidator by its report.
      await until(async () => {
        const response = await fetch(`${system.invalidator.console}/console/overview`)
        return (await response.text()).includes('"application":"spms-invalidator","version"')
      })
      const child = await startCli(target(), 'tail')
      let output = ''
      child.stdout.on('data', (data: Buffer) => (output += data.toString()))
      await until(() => output.includes('/events; press Ctrl-C to stop'))
      await until(async () => {
        await system.sql.query(
          'update users_publicstaffprofile set expertise = clock_timestamp()::text where id = 1',
        )
        return output.includes('users_publicstaffprofile')
      })
      await until(() => output.includes(`invalidate ${bareKey(system.prefix, key)}`))
      expect(output).to.match(
        /^[\d:.]+ {2}update {2}users_publicstaffprofile \(expertise\) {2}1 row {2}applied after [\d.]+ ms$/m,
      )
      child.kill('SIGINT')
      expect((await once(child, 'exit'))[0]).to.equal(0)
    })
  })

  describe('flush', () => {
    for (const what of ['staff:profile', 'staff:profile:*', () => key]) {
      const argument = () => (typeof what === 'string' ? what : what())
      it(`flushes ${typeof what === 'string' ? what : 'the resource of a key'}`, async () => {
        await warm()
        const { output, code } = await run('flush', argument())
        expect(output).to.contain('requested: staff:profile').and.to.contain('flushed')
        expect(code).to.equal(0)
        expect((await system.get(PROFILE)).cache).to.equal('fwd=miss')
      })
    }

    it('rejects an unknown name and lists the resources', async () => {
      const { complaint, code } = await run('flush', 'staff:profiles')
      expect(complaint).to.contain('resources are ').and.to.contain('staff:profile')
      expect(code).to.equal(1)
    })

    it('fails if no invalidator runs', async () => {
      await system.invalidator.kill()
      const { complaint, code } = await run('flush', 'staff:profile')
      expect(complaint).to.contain('is an invalidator running?')
      expect(code).to.equal(1)
      await system.invalidator.start()
    })
  })

  it('prints the usage of each command', async () => {
    await Promise.all(
      ['explain', 'tail', 'flush', 'status', 'doctor', 'verify'].map(async (verb) => {
        const { output, code } = await run(verb, '--help')
        expect(output).to.contain(`Usage: spms ${verb}`)
        expect(code).to.equal(0)
      }),
    )
  })
})
