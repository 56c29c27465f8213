import { expect } from 'chai'
import { Client } from 'pg'
import { logIn } from '../support/log-in.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const WRITERS = 12
const LOCK_TIMEOUT_MS = 1_500

describe('requests during long row and table locks', function () {
  this.timeout(60_000)
  let system: System
  let other: Client
  let session: Record<string, string>

  before(async () => {
    system = await startSystem({
      apiEnv: {
        LOCK_TIMEOUT_MS: `${LOCK_TIMEOUT_MS}`,
        CACHE_TTL_OVERRIDES: 'agency:business_areas=1',
      },
    })
    other = new Client({ connectionString: system.databaseUrl })
    await other.connect()
    session = await logIn(system.apis[0])
  })
  after(async () => {
    await other.end()
    await system[Symbol.asyncDispose]()
  })
  afterEach(() => other.query('rollback'))

  const rename = (id: string, name: string) =>
    fetch(`${system.apis[0]}/api/v1/agencies/branches/${id}`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json', ...session },
      body: JSON.stringify({ name }),
    })

  const waitForLocks = async () => {
    const { rows } = await system.sql.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where application_name = 'spms-api' and wait_event_type = 'Lock' and datname = current_database()`,
    )
    return rows[0]?.n ?? 0
  }

  it('are answered fast if they are reads or health checks while twelve writers wait', async () => {
    const { rows } = await system.sql.query<{ id: string }>(
      'select min(id) as id from agencies_branch',
    )
    const id = rows[0]?.id ?? ''
    await other.query('begin')
    await other.query('select from agencies_branch where id = $1 for update', [id])
    const writes = Array.from({ length: WRITERS }, (_, n) => rename(id, `Name ${n}`))
    await until(async () => (await waitForLocks()) >= 3)

    const answers: { readonly status: number; readonly ms: number }[] = []
    for (let n = 0; n < 50; n++) {
      const beganAt = performance.now()
      // This path is never cached, so each read needs a connection.
      const read = await system.get(`agencies/branches/${id}`, session)
      const health = await fetch(`${system.apis[0]}/health/`)
      answers.push({ status: read.status, ms: performance.now() - beganAt })
      answers.push({ status: health.status, ms: 0 })
    }
    expect(await waitForLocks()).to.be.within(1, 3)
    expect(answers.filter(({ status }) => status !== 200)).to.deep.equal([])
    const slow = answers.filter(({ ms }) => ms > 100)
    expect(
      slow,
      `slower than 100 ms: ${slow.map(({ ms }) => Math.round(ms)).join()}`,
    ).to.have.length.below(5)

    const rejected = await Promise.all(writes)
    for (const { status, headers } of rejected) {
      expect(status).to.equal(503)
      expect(headers.get('retry-after')).to.equal('1')
    }
    await other.query('rollback')
    expect((await rename(id, 'A new name')).status).to.equal(200)
  })

  it('get an expired answer after the lock time-out', async () => {
    const path = 'agencies/business_areas'
    await until(async () => (await system.get(path, session)).cache === 'hit')
    await other.query('begin')
    await other.query('lock table agencies_businessarea in access exclusive mode')
    await until(async () => {
      const { status, headers } = await system.get(path, session)
      expect(status).to.equal(200)
      return headers.get('cache-status')?.includes('fwd=stale') === true
    })
  })
})
