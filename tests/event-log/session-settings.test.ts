import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import {
  NotOneSession,
  openWorkerSession,
  readGauges,
  recordCursors,
} from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { BIRDS } from '../invalidator/birds.ts'
import { openWorker, recordKeys, startInvalidator } from '../support/invalidator.ts'
import { startTransactionPooler } from '../support/transaction-pooler.ts'
import { until } from '../support/until.ts'
import { AVIARY, type EventLog, openEventLog } from './event-log.ts'

describe('session of an invalidator', function () {
  this.timeout(60_000)
  const applicationName = 'spms-test-settings'
  let log: EventLog

  before(async () => {
    log = await openEventLog(AVIARY, compileRules(BIRDS))
  })
  after(() => log[Symbol.asyncDispose]())

  const open = (url = log.url) =>
    openWorkerSession({ url, applicationName, statementTimeoutMs: 10_000 })

  /** Sets defaults of the database, which apply to later sessions only. */
  async function setDefaults(defaults: Readonly<Record<string, string>>): Promise<void> {
    const name = new URL(log.url).pathname.slice(1)
    for (const [setting, value] of Object.entries(defaults)) {
      await log.client.query(`alter database ${name} set ${setting} = ${value}`)
    }
  }
  const resetDefaults = () =>
    log.client.query(`alter database ${new URL(log.url).pathname.slice(1)} reset all`)

  it('overrides the defaults of the database with its own settings', async () => {
    await log.client.query('create schema decoy; create table decoy.bird (like public.bird)')
    await setDefaults({
      search_path: 'decoy, public, pg_catalog',
      idle_session_timeout: '0',
      idle_in_transaction_session_timeout: '0',
      statement_timeout: `'1h'`,
      lock_timeout: `'1h'`,
      plan_cache_mode: 'auto',
      row_security: 'on',
      default_transaction_read_only: 'on',
      default_transaction_isolation: 'serializable',
      datestyle: `'German, DMY'`,
      timezone: `'Asia/Tokyo'`,
      bytea_output: 'escape',
      extra_float_digits: '-15',
      standard_conforming_strings: 'off',
      array_nulls: 'off',
    })
    try {
      await using session = await open()
      const { rows } = await session.client.query<{ name: string; value: string }>(
        `select name, current_setting(name) as value from unnest($1::text[]) name`,
        [
          [
            'application_name',
            'search_path',
            'idle_session_timeout',
            'idle_in_transaction_session_timeout',
            'statement_timeout',
            'lock_timeout',
            'plan_cache_mode',
            'row_security',
            'default_transaction_read_only',
            'default_transaction_isolation',
            'datestyle',
            'timezone',
            'bytea_output',
            'extra_float_digits',
            'standard_conforming_strings',
            'array_nulls',
          ],
        ],
      )
      expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).to.eql({
        application_name: applicationName,
        search_path: '"public", pg_temp',
        idle_session_timeout: '5s',
        idle_in_transaction_session_timeout: '5s',
        statement_timeout: '10s',
        lock_timeout: '0',
        plan_cache_mode: 'force_generic_plan',
        row_security: 'off',
        default_transaction_read_only: 'off',
        default_transaction_isolation: 'read committed',
        datestyle: 'ISO, MDY',
        timezone: 'UTC',
        bytea_output: 'hex',
        extra_float_digits: '1',
        standard_conforming_strings: 'on',
        array_nulls: 'on',
      })
      const found = await session.client.query(
        `select 'bird'::regclass = 'public.bird'::regclass as right`,
      )
      expect(found.rows).to.eql([{ right: true }])
    } finally {
      await resetDefaults()
      await log.client.query('drop schema decoy cascade')
    }
  })

  it('works where transactions are read-only by default', async () => {
    await setDefaults({ default_transaction_read_only: 'on' })
    try {
      const record = recordKeys()
      await using invalidator = startInvalidator({
        databaseUrl: log.url,
        catalog: BIRDS,
        heartbeatMs: 50,
        wrapInvalidationStore: record.wrapInvalidationStore,
      })
      await until(() => invalidator.working)
      await log.client.query('insert into bird (id) values (700)')
      await until(() => [...record.applied].some((key) => key.includes('700')))
      // Recording cursors works too.
      await using session = await open()
      await recordCursors(session.client, 'somewhere', [{ resource: 'bird', snapshot: '1:1:' }])
    } finally {
      await resetDefaults()
    }
  })

  it('fails to read a log that is filtered by row level security, also for the gauges', async () => {
    const role = `spms_filtered_${randomBytes(4).toString('hex')}`
    await log.client.query(
      `create role ${role} login password 'x'; grant usage on schema invalidation to ${role};
       grant select on invalidation.event to ${role};
       alter table invalidation.event enable row level security`,
    )
    try {
      const url = new URL(log.url)
      url.username = role
      url.password = 'x'
      const error = await readGauges({ url: url.href, applicationName, since: null }).catch(String)
      expect(error).to.contain('row-level security policy for table "event"')
    } finally {
      await log.client.query(
        `alter table invalidation.event disable row level security;
         drop owned by ${role}; drop role ${role}`,
      )
    }
  })

  it('rejects a URL with parameters that would override its settings', async () => {
    const error = await open(`${log.url}?options=-c%20search_path%3Dpublic`).then(
      async (session) => session[Symbol.asyncDispose](),
      (error: unknown) => error,
    )
    expect(String(error)).to.contain('the parameter "options" is not supported')
  })

  it('is rejected behind a pooler in transaction mode, even with a single client', async () => {
    await using pooler = await startTransactionPooler(log.url)
    const error = await open(pooler.url).then(
      async (session) => session[Symbol.asyncDispose](),
      (error: unknown) => error,
    )
    expect(error).to.be.instanceOf(NotOneSession)
    expect(String(error)).to.contain('not in transaction mode')
  })

  it('fails when another backend than the one with the locks reads a window', async () => {
    await using opened = await openWorker({
      databaseUrl: log.url,
      catalog: BIRDS,
      wrapSession: (session) => ({ ...session, backend: session.backend + 1 }),
    })
    opened.worker.acquire(BIRDS)
    const error = await opened.worker.applyWindow().catch((error: unknown) => error)
    expect(error).to.be.instanceOf(NotOneSession)
  })
})
