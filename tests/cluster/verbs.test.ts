import { expect } from 'chai'
import { runCli } from '../support/cli.ts'
import { type PrivateCluster, startPrivateCluster } from '../support/private-cluster.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const PASSWORD = 'secret'

describe('the commands of an operator with a Redis Cluster', function () {
  this.timeout(120_000)
  let cluster: PrivateCluster
  let system: System
  let profile: string

  before(async () => {
    cluster = await startPrivateCluster(undefined, { password: PASSWORD })
    system = await startSystem({ redisUrl: cluster.url })
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 1`,
    )
    profile = `users/staffprofiles/${rows[0]?.id}`
    for (const path of [profile, 'users/staffprofiles', `${profile}/hero`]) {
      await until(async () => (await system.get(path)).cache === 'hit')
    }
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
  })

  const run = (...words: string[]) => runCli({ ...system, redisUrl: cluster.url }, ...words)

  it('shows all buckets and the watermark of each resource', async () => {
    // The first flush of every bucket may not have ended.
    await until(async () => !(await run('status')).output.includes('no watermark'))
    const { output, code } = await run('status')
    expect(output).to.contain('64 of 64 on 3 servers')
    expect(output).to.match(/staff:profile +watermark \d+\.\d s old, no backlog/)
    expect(output).not.to.contain(PASSWORD)
    expect(code).to.equal(0)
  })

  it('explains an entry by URL, and by the key that was printed', async () => {
    const { output } = await run('explain', `/api/v1/${profile}`)
    const [, key = ''] = /^staff:profile +(\S+)$/m.exec(output) ?? []
    expect(key).to.match(/\/64\/\{\d+\}\/v\d+\/staff:profile:\d+$/)
    expect(output).to.match(/cached \d+\.\d s ago/)
    expect((await run('explain', key)).output).to.contain(key)
  })

  it('compares the entries of all servers with Postgres', async () => {
    const { output, code } = await run('verify')
    expect(output).to.match(/^([3-9]|\d{2,}) examined: \d+ right, .* 0 wrong$/m)
    expect(code).to.equal(0)
  })

  it('flushes a resource in every bucket and waits for it', async () => {
    await until(async () => (await system.get(profile)).cache === 'hit')
    expect((await run('flush', 'staff:profile')).output).to.contain('flushed')
    expect((await system.get(profile)).cache).to.equal('fwd=miss')
  })

  it('flushes an entry by the key that was printed', async () => {
    await until(async () => (await system.get(profile)).cache === 'hit')
    const { output } = await run('explain', `/api/v1/${profile}`)
    const [, key = ''] = /^staff:profile +(\S+)$/m.exec(output) ?? []
    expect((await run('flush', key)).output).to.contain('flushed')
    expect((await system.get(profile)).cache).to.equal('fwd=miss')
  })

  it('are without a finding until a setting is wrong or a master is gone', async () => {
    const { output } = await run('doctor')
    expect(output).to.contain('nothing is wrong')
    const [master] = cluster.nodes as [PrivateCluster['nodes'][number]]
    await master.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await master.client.config('SET', 'cluster-allow-reads-when-down', 'yes')
    const { output: found } = await run('doctor')
    expect(found).to.contain(`127.0.0.1:${master.port}: maxmemory-policy is allkeys-lru`)
    expect(found).to.contain('cluster-allow-reads-when-down is on')
    for (const replica of await cluster.replicasOf(master)) await replica.kill()
    await master.kill()
    await until(async () => (await run('doctor')).output.includes('have no reachable server'))
    expect((await run('status')).output).to.contain('UNAVAILABLE')
  })
})
