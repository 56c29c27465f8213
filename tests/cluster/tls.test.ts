import { expect } from 'chai'
import { withRedis } from '../../scripts/verbs/with-redis.ts'
import { openBuckets } from '../../shared/cache/index.ts'
import { type Certificate, createCertificate } from '../support/certificate.ts'
import { newPrefix } from '../support/invalidator.ts'
import { type PrivateCluster, startPrivateCluster } from '../support/private-cluster.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const PROFILE = 'users/staffprofiles/1/overview'

describe('a Redis Cluster whose nodes speak TLS only', function () {
  this.timeout(120_000)
  let certificate: Certificate
  let cluster: PrivateCluster

  before(async () => {
    certificate = await createCertificate()
    cluster = await startPrivateCluster(undefined, {
      replicas: false,
      password: 'secret',
      certificate,
    })
  })
  after(async () => {
    await cluster[Symbol.asyncDispose]()
    await certificate[Symbol.asyncDispose]()
  })

  it('caches an answer, and invalidates it after a change by SQL', async () => {
    await using system = await startSystem({
      redisUrl: cluster.url,
      env: { NODE_EXTRA_CA_CERTS: certificate.authority },
    })
    const { get, sql } = system
    await until(async () => (await get(PROFILE)).cache === 'hit')
    await sql.query(`update users_publicstaffprofile set expertise = 'over TLS' where id = 1`)
    await until(async () => (await get(PROFILE)).text.includes('over TLS'))
    await until(async () => (await get(PROFILE)).cache === 'hit')
    expect((await get(PROFILE)).text).to.contain('over TLS')
  })

  it('is refused without its authority, and the error names the missing setting', async () => {
    const error = await withRedis(cluster.url, newPrefix(), async () => undefined).catch(String)
    expect(error).to.contain('NODE_EXTRA_CA_CERTS')
  })

  it('is reported as down to a process without its authority', async () => {
    const states: string[] = []
    const buckets = openBuckets(cluster.url, newPrefix(), {
      name: 'test',
      onState: (state, error) => states.push(`${state}: ${error?.message}`),
    })
    await until(() => states.length > 0)
    expect(states[0]).to.match(/^down: .*NODE_EXTRA_CA_CERTS/)
    buckets[Symbol.dispose]()
  })
})
