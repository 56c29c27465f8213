import { once } from 'node:events'
import { expect } from 'chai'
import type { Redis } from 'ioredis'
import { examine } from '../scripts/doctor/examine.ts'
import { checkPermissions } from '../scripts/doctor/permissions.ts'
import {
  clockKey,
  createDenialLog,
  createEntryStore,
  createInvalidationStore,
  entryKey,
  openRedis,
  watermarkKey,
} from '../shared/cache/index.ts'
import { DOCTOR_HINT } from '../shared/doctor-hint.ts'
import { catalog } from '../shared/resources/index.ts'
import { runCli } from './support/cli.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { newPrefix } from './support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from './support/private-redis.ts'
import { until } from './support/until.ts'

const PASSWORD = 'limited'
/** All commands that the services and the command line run. */
const ALL =
  '+eval +evalsha +time +get +set +hget +hgetall +hkeys +hlen +hstrlen +hset +hdel ' +
  '+pttl +pexpire +unlink +scan +info +type +randomkey +acl|whoami'

describe('a Redis user with limited permissions', function () {
  this.timeout(60_000)
  const prefix = newPrefix()
  let database: TestDatabase
  let server: PrivateRedis
  let admin: Redis
  let users = 0

  before(async () => {
    database = await createTestDatabase({ installed: true })
    server = await startPrivateRedis()
    admin = await connect(server.url)
    await admin.config('SET', 'maxmemory-policy', 'noeviction')
  })
  after(async () => {
    admin.disconnect()
    await server[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  async function connect(url: string): Promise<Redis> {
    const redis = openRedis(url, { name: 'spms-test', commandTimeoutMs: 5_000, onState() {} })
    await once(redis, 'ready')
    return redis
  }

  /** Creates a Redis user with ACL rules, and returns its URL. */
  async function addUser(rules: string): Promise<string> {
    const user = `limited${++users}`
    await admin.call('ACL', 'SETUSER', user, 'on', `>${PASSWORD}`, ...rules.split(' '))
    const url = new URL(server.url)
    url.username = user
    url.password = PASSWORD
    return url.href
  }

  const findingsFor = (redisUrl: string) =>
    examine({ databaseUrl: database.url, redisUrl, prefix, maxStalenessMs: 10_000 })
  const denialsFor = async (redisUrl: string) =>
    (await findingsFor(redisUrl)).filter(({ what }) => what.includes('not permitted'))

  it('needs no more than the listed commands on the keys of the prefix, according to doctor', async () => {
    const url = await addUser(`${ALL} ~${prefix}/*`)
    expect(await denialsFor(url)).to.eql([])
    expect(await admin.keys('*'), 'doctor writes the clock only').to.eql([clockKey(prefix)])
  })

  it('gets an ACL command from doctor for each command that is not permitted', async () => {
    for (const command of ALL.split(' ').filter((word) => !word.includes('acl'))) {
      const name = command.slice(1)
      const redis = await connect(await addUser(`${ALL} -${name} ~${prefix}/*`))
      const [found, ...more] = await checkPermissions(redis, {
        prefix,
        keysUnder: prefix,
        isCluster: false,
      })
      expect(more, name).to.eql([])
      expect(found?.what).to.contain(`not permitted ${name.toUpperCase()}`)
      expect(found?.remedy).to.match(
        new RegExp(`^ACL SETUSER limited\\d+ \\+${name} ~${prefix}/\\*`),
      )
      redis.disconnect()
    }
  })

  it('gets all other findings of doctor despite missing permissions', async () => {
    const url = await addUser(`${ALL} -scan -time -hkeys -info ~${prefix}/*`)
    const whats = (await findingsFor(url)).map(({ what }) => what)
    expect(whats.filter((what) => what.includes('not permitted'))).to.have.lengthOf(4)
    expect(whats).to.include.members(['no invalidator is running'])
    expect(whats.filter((what) => what.startsWith('cannot examine')).join()).to.contain('the keys')
    const more = (await findingsFor(await addUser(`${ALL} -scan -randomkey ~${prefix}/*`))).map(
      ({ what }) => what,
    )
    expect(more).to.include.members([
      'maxmemory-policy is noeviction',
      'staff:profile has no watermark',
    ])
  })

  it('gets its missing permissions in the output of spms doctor', async () => {
    const url = await addUser(`${ALL} -hget -info ~${prefix}/*`)
    const { output, code } = await runCli(
      { databaseUrl: database.url, redisUrl: url, prefix },
      'doctor',
    )
    expect(output).to.match(/WRONG {2}the user limited\d+ of Redis is not permitted HGET/)
    expect(output).to.match(/note {3}the user limited\d+ of Redis is not permitted INFO/)
    expect(output).to.contain('no invalidator is running')
    expect(code).to.equal(1)
  })

  it('gets a finding of doctor if the keys of the prefix are not permitted', async () => {
    const url = await addUser(`${ALL} ~other/*`)
    expect((await denialsFor(url)).map(({ remedy }) => remedy).join()).to.contain(`~${prefix}/*`)
  })

  for (const [lacking, remedy] of [
    ['-evalsha', '+evalsha'],
    ['-hkeys', 'ACL SETUSER'],
    ['-time', 'ACL SETUSER'],
  ] as const) {
    it(`is logged once by a process whose poll is not permitted ${lacking.slice(1)}`, async () => {
      const redis = await connect(await addUser(`${ALL} ${lacking} ~${prefix}/*`))
      const lines: object[] = []
      let denials = 0
      const log = createDenialLog(
        { error: ((...line: object[]) => lines.push(line)) as never },
        DOCTOR_HINT,
      )
      const store = createEntryStore(redis, {
        prefix,
        commandTimeoutMs: 1_000,
        onDenied(error) {
          denials++
          log(error)
        },
      })
      await until(() => denials >= 2)
      expect(lines).to.have.lengthOf(1)
      expect(JSON.stringify(lines[0])).to.contain(remedy).and.to.contain('spms -- doctor')
      store[Symbol.dispose]()
      redis.disconnect()
    })
  }

  it('can do the work of both services with the permissions that doctor requires', async () => {
    const redis = await connect(
      await addUser(`${ALL} -info -type -randomkey -acl|whoami ~${prefix}/*`),
    )
    const invalidationStore = createInvalidationStore(redis, prefix)
    const [resource] = catalog
    if (resource === undefined) throw new Error('the catalog is empty')
    const next = {
      ...{ incarnation: 'one', origin: '1.2.3', asOfMs: 1, part: 0, keyVersion: 1 },
      ...{ snapshot: { xmin: 3n, xmax: 3n, xip: [], text: '3:3:' }, fingerprint: 'f' },
    }
    const report = await invalidationStore.apply([
      { resource, expected: null, next, keys: new Set(), flush: true },
    ])
    expect(report.stored.has(resource.name)).to.equal(true)
    const store = createEntryStore(redis, { prefix, commandTimeoutMs: 1_000 })
    await until(() => store.watermark(resource.name, '') !== null)
    store[Symbol.dispose]()
    expect(await admin.exists(watermarkKey(prefix))).to.equal(1)
    await admin.flushdb()
    redis.disconnect()
  })

  it('gets a finding of doctor for keys that another program wrote', async () => {
    const url = await addUser(`${ALL} ~${prefix}/*`)
    const [resource] = catalog
    if (resource === undefined) throw new Error('the catalog is empty')
    const params = { profile_id: '1', user_id: '1', project_id: '1', hex: '00' }
    const key = entryKey(prefix, resource, params)
    await admin.set(key, 'x')
    await admin.set(`${prefix}/v1/no:resource`, 'x')
    await admin.hset(watermarkKey(prefix), resource.name, 'x')
    const whats = (await findingsFor(url)).map(({ what }) => what).join('\n')
    expect(whats).to.contain(`2 values in Redis were not written by this program`)
    expect(whats).to.contain(`${key} (a string)`)
    expect(whats).to.contain(`the watermark of ${resource.name}`)
    expect(whats).to.contain(`1 keys under the prefix are of no resource of this build`)
    await admin.flushdb()
  })
})
