import { once } from 'node:events'
import { expect } from 'chai'
import { catalog } from '../shared/resources/index.ts'
import { runCli, startCli } from './support/cli.ts'
import { startInvalidator, type TestInvalidator } from './support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from './support/private-redis.ts'
import { startSystem, type System } from './support/system.ts'
import { until } from './support/until.ts'

const UNWATCHED_TABLE = 'users_keywordtag'

describe('verify', function () {
  this.timeout(60_000)
  let redis: PrivateRedis
  let system: System
  let profile: string
  let tagId: string

  before(async () => {
    redis = await startPrivateRedis()
    system = await startSystem({ redisUrl: redis.url })
    const { rows } = await system.sql.query<{ profile: string; tag: string }>(
      `select p.id as profile, t.keywordtag_id as tag
       from users_publicstaffprofile_keyword_tags t
       join users_publicstaffprofile p on p.id = t.publicstaffprofile_id
       join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 1`,
    )
    profile = `users/staffprofiles/${rows[0]?.profile}`
    tagId = rows[0]?.tag ?? ''
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })

  const target = () => ({ ...system, redisUrl: redis.url })
  const run = (...options: string[]) => runCli(target(), 'verify', ...options)

  const warm = () => until(async () => (await system.get(profile)).cache === 'hit')
  const rename = (name: string) =>
    system.sql.query(`update ${UNWATCHED_TABLE} set name = $1 where id = $2`, [name, tagId])

  /** Starts an invalidator without the rules for one table. */
  async function startWithoutRule(): Promise<TestInvalidator> {
    await system.invalidator.kill()
    const invalidator = startInvalidator({
      databaseUrl: system.databaseUrl,
      redisUrl: redis.url,
      prefix: system.prefix,
      catalog: catalog.map((resource) => ({
        ...resource,
        staleWhen: resource.staleWhen.filter(({ table }) => table !== UNWATCHED_TABLE),
      })),
    })
    await until(() => invalidator.working)
    return invalidator
  }

  it('finds no wrong value if no rule is missing', async () => {
    await warm()
    const { output, code } = await run()
    expect(output).to.match(
      /^[1-9]\d* examined: [1-9]\d* right, 0 changed meanwhile, 0 .*, 0 wrong$/m,
    )
    expect(code).to.equal(0)
  })

  it('does not report values that change during the comparison', async () => {
    const over = new AbortController()
    const writing = (async () => {
      for (let n = 0; !over.signal.aborted; n++) {
        await rename(`often ${n}`)
        await system.get(profile)
      }
    })()
    const { output, code } = await run()
    over.abort()
    await writing
    expect(output).to.contain(' 0 wrong')
    expect(code).to.equal(0)
  })

  it('prints a value that differs while the watermark does not advance, and fails', async () => {
    await system.invalidator.kill()
    // After the kill, because an earlier change may be applied until then.
    await warm()
    await rename('unproven')
    const { output, code } = await run()
    expect(output).to.match(
      /^UNPROVEN {2}staff:profile .* {2}full {2}\(the watermark did not advance\)$/m,
    )
    expect(code).to.equal(1)
    await system.invalidator.start()
  })

  it('reports and deletes a stale value that a missing rule leaves in the cache', async () => {
    await using invalidator = await startWithoutRule()
    expect(invalidator.working).to.be.true
    await rename('before')
    await until(async () => (await run()).code === 0)
    await warm()
    await rename('after')
    const { output, code } = await run()
    expect(output).to.match(/^WRONG {2}staff:profile .* {2}full {2}\(deleted\)$/m)
    expect(code).to.equal(1)
    expect((await system.get(profile)).text).to.contain('"after"')
    expect((await run('--sample', '500')).code).to.equal(0)
  })

  it('compares continuously with --watch, and counts wrong values by time after the change', async () => {
    await using invalidator = await startWithoutRule()
    expect(invalidator.working).to.be.true
    const child = await startCli(target(), 'verify', '--watch', '--sample', '500')
    const lines: string[] = []
    child.stdout.on('data', (data: Buffer) => lines.push(...data.toString().split('\n')))
    await until(() => lines.some((line) => line.startsWith('watching')))
    const metricsPort = /port (\d+)/.exec(lines.join('\n'))?.[1]
    // It continues after it has lost its connection.
    await until(async () => {
      await system.sql.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name = 'spms-verify' and datname = current_database()`,
      )
      return lines.some((line) => line.startsWith('cannot compare, retrying'))
    })
    await warm()
    await rename('watched')
    await until(() => lines.some((line) => line.startsWith('WRONG  staff:profile')))
    expect((await system.get(profile)).text).to.contain('"watched"')
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    expect(metrics).to.match(/^spms_verified_total\{after_s="1",outcome="wrong"\} [1-9]/m)
    child.kill('SIGTERM')
    expect((await once(child, 'exit'))[0]).to.equal(1)
  })
})
