import { expect } from 'chai'
import { Client } from 'pg'
import { checkTriggers } from '../../invalidator/index.ts'
import { APPLICATION } from '../../shared/application.ts'
import { decodeWatermark, DISABLED } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { openWorker } from '../support/invalidator.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../support/private-postgres.ts'
import { until } from '../support/until.ts'

const TABLE = 'agencies_affiliation'

describe('logical replication into a watched table', function () {
  this.timeout(120_000)

  let server: PrivatePostgres
  let publisher: Client
  let subscriber: Client
  let subscriberUrl: string

  before(async () => {
    server = await startPrivatePostgres({ settings: { wal_level: 'logical' }, seeded: false })
    const url = new URL(server.url)
    url.pathname = '/subscriber'
    subscriberUrl = url.href
    url.pathname = '/postgres'
    const admin = new Client({ connectionString: url.href })
    await admin.connect()
    await admin.query('create database subscriber template spms')
    await admin.end()
    publisher = new Client({ connectionString: server.url })
    subscriber = new Client({ connectionString: subscriberUrl })
    await publisher.connect()
    await subscriber.connect()
    // The apply worker does not truncate tables that foreign keys refer to.
    for (const client of [publisher, subscriber]) {
      await client.query(`do $$ declare found record; begin
        for found in select conrelid::regclass as name, conname from pg_constraint
                      where confrelid = '${TABLE}'::regclass
        loop execute format('alter table %s drop constraint %I', found.name, found.conname); end loop;
      end $$`)
    }
    await publisher.query(`insert into ${TABLE} (name) values ('copied');
      create publication published for table ${TABLE}`)
    // Within one cluster the slot must exist before the subscription.
    await publisher.query(`select pg_create_logical_replication_slot('slot', 'pgoutput')`)
    await subscriber.query(
      `create subscription subscribed connection '${server.url}' publication published
         with (create_slot = false, slot_name = slot)`,
    )
  })
  after(async () => {
    await publisher.end()
    await subscriber.end()
    await server[Symbol.asyncDispose]()
  })

  const has = (name: string) =>
    until(async () => {
      const { rowCount } = await subscriber.query(`select from ${TABLE} where name = $1`, [name])
      return rowCount === 1
    })
  const events = async () => {
    const { rows } = await subscriber.query<{ op: string }>(
      'select op from invalidation.event order by xid, at',
    )
    return rows.map(({ op }) => op).join('')
  }

  it('fires statement triggers for the initial copy and TRUNCATE, but not for row changes', async () => {
    await has('copied')
    await until(async () => {
      const { rowCount } = await subscriber.query(
        `select from pg_subscription_rel where srsubstate = 'r'`,
      )
      return rowCount === 1
    })
    expect(await events()).to.equal('I')
    await publisher.query(`insert into ${TABLE} (name) values ('applied')`)
    await publisher.query(`update ${TABLE} set name = 'changed' where name = 'applied'`)
    await has('changed')
    expect(await events(), 'otherwise subscriptions could be supported').to.equal('I')
    await publisher.query(`truncate ${TABLE}; insert into ${TABLE} (name) values ('last')`)
    await has('last')
    expect(await events()).to.equal('IT')
  })

  it('disables resources of the table while the subscription exists, and doctor reports it', async () => {
    await using one = await openWorker({ databaseUrl: subscriberUrl, catalog, inspectEveryMs: 0 })
    one.worker.acquire(catalog)
    const disabled = async () => {
      await one.worker.applyWindow()
      const mark = decodeWatermark(await one.invalidationStore.read('agency:affiliations'))
      return mark?.keyVersion === DISABLED
    }
    expect(await disabled()).to.be.true
    const [finding] = await checkTriggers(subscriber, APPLICATION)
    expect(finding?.what).to.contain(`a subscription writes to ${TABLE}`)
    expect(finding?.remedy).to.contain('alter subscription')

    await publisher.query(`alter publication published drop table ${TABLE}`)
    await subscriber.query('alter subscription subscribed refresh publication')
    expect(await checkTriggers(subscriber, APPLICATION)).to.eql([])
    expect(await disabled()).to.be.false
  })
})
