import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { install } from '../../db/event-log/index.ts'
import { compileRules, decodeWatermark } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type BuildApi, defineBuild } from '../support/build.ts'
import { createTestDatabase } from '../support/database.ts'
import { newPrefix, type TestInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'

const WORLD = new URL('warm/world.sql', import.meta.url)
// A bound so long that it cannot make answers correct in this test.
const BOUND_MS = 3_600_000
const PATH = 'users/staffprofiles/101/hero'
const RESOURCE = 'staff:profile'
const rules = compileRules(catalog)

describe('copies of a database that share a Redis and a prefix', function () {
  this.timeout(60_000)

  const closers: (() => Promise<unknown>)[] = []
  let admin: Client
  let prefix: string
  let name: string
  let copy: string

  beforeEach(async () => {
    const database = await createTestDatabase({ installed: true })
    closers.push(async () => database[Symbol.asyncDispose]())
    name = new URL(database.url).pathname.slice(1)
    copy = `spms_test_${randomBytes(6).toString('hex')}`
    prefix = newPrefix()
    admin = new Client({ connectionString: process.env.TEST_DATABASE_URL })
    await admin.connect()
    closers.push(async () => {
      await admin.query(`drop database if exists ${copy} with (force)`)
      await admin.end()
    })
    await run(name, await readFile(WORLD, 'utf8'))
    await run(name, about('the original'))
  })
  afterEach(async () => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  })

  const urlOf = (database: string) => {
    const url = new URL(process.env.TEST_DATABASE_URL as string)
    url.pathname = `/${database}`
    return url.href
  }
  async function run(database: string, sql: string): Promise<void> {
    const client = new Client({ connectionString: urlOf(database) })
    client.on('error', () => {})
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const about = (text: string) =>
    `update users_publicstaffprofile set about = '${text}' where id = 101`

  const build = (database: string) =>
    defineBuild({ databaseUrl: urlOf(database), prefix, maxStalenessMs: BOUND_MS })
  async function api(database: string): Promise<BuildApi> {
    const started = await build(database).startApi()
    closers.push(async () => started[Symbol.asyncDispose]())
    return started
  }
  async function invalidator(database: string): Promise<TestInvalidator> {
    const started = await build(database).startInvalidator()
    closers.push(async () => started[Symbol.asyncDispose]())
    return started
  }
  const shown = async (from: BuildApi) => /"about":"([^"]*)"/.exec((await from.get(PATH)).text)?.[1]
  const untilHit = (from: BuildApi, text: string) =>
    until(async () => {
      const reply = await from.get(PATH)
      return reply.cache.startsWith('hit') && reply.text.includes(`"about":"${text}"`)
    })

  /** Fills the cache from the original, then closes all connections, since a template must have none. */
  async function fillAndLeave(): Promise<void> {
    const filled = closers.length
    const first = await api(name)
    await invalidator(name)
    await untilHit(first, 'the original')
    for (const closer of closers.splice(filled).toReversed()) await closer()
  }

  /** Expects that no API shows rows of the other database, and that the original stays cached. */
  async function expectIsolation(): Promise<void> {
    const [original, other] = [await api(name), await api(copy)]
    const owning = await invalidator(name)
    await untilHit(original, 'the original')
    for (let time = 0; time < 3; time++) expect(await shown(other)).to.equal('the copy')

    await install(urlOf(copy), rules)
    expect(await shown(other)).to.equal('the copy')

    const standby = await invalidator(copy)
    await until(async () =>
      (await standby.metrics.foreignWatermarks.get()).values.some(({ value }) => value > 0),
    )
    const origin = async () =>
      decodeWatermark(await owning.invalidationStore.read(RESOURCE))?.origin
    const origins = new Set<string | undefined>()
    // The other invalidator does not disturb two changes of the original.
    for (const text of ['the original again', 'the original']) {
      await run(name, about(text))
      await until(async () => (await shown(original)) === text)
      await untilHit(original, text)
      expect(await shown(other)).to.equal('the copy')
      origins.add(await origin())
    }
    expect([...origins]).to.eql([await origin()])
    const { rows } = await admin.query<{ oid: string }>(
      `select oid::text from pg_database where datname = '${name}'`,
    )
    expect(origins.values().next().value?.split('.')[1]).to.equal(rows[0]?.oid)
  }

  it('are isolated after CREATE DATABASE ... TEMPLATE, before and after install on the copy', async () => {
    await fillAndLeave()
    await admin.query(`create database ${copy} template ${name}`)
    await run(copy, about('the copy'))
    await expectIsolation()
  })

  it('are isolated after a dump was restored next to the original', async () => {
    await fillAndLeave()
    await admin.query(`create database ${copy} template ${name}`)
    // A dump contains the rows of schema `invalidation`.
    const client = new Client({ connectionString: urlOf(name) })
    await client.connect()
    const { rows } = await client.query<{ row: object }>(
      'select to_json(i) as row from invalidation.incarnation i',
    )
    await client.end()
    await run(
      copy,
      `truncate invalidation.incarnation;
       insert into invalidation.incarnation
       select * from json_populate_record(null::invalidation.incarnation, '${JSON.stringify(rows[0]?.row)}');
       ${about('the copy')}`,
    )
    await expectIsolation()
  })

  it('are isolated when they exchange their names while services run', async () => {
    await fillAndLeave()
    await admin.query(`create database ${copy} template ${name}`)
    await run(copy, about('the copy'))
    const [first, second] = [await api(name), await api(copy)]
    await invalidator(name)
    await untilHit(first, 'the original')
    expect(await shown(second)).to.equal('the copy')

    for (const one of [name, copy]) {
      await admin.query(`alter database ${one} with allow_connections false`)
      await until(async () => {
        const { rowCount } = await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${one}'`,
        )
        return rowCount === 0
      })
    }
    const aside = `${copy}_aside`
    await admin.query(`alter database ${name} rename to ${aside}`)
    await admin.query(`alter database ${copy} rename to ${name}`)
    await admin.query(`alter database ${aside} rename to ${copy}`)
    for (const one of [name, copy]) {
      await admin.query(`alter database ${one} with allow_connections true`)
    }
    await until(async () => (await shown(first).catch(() => undefined)) === 'the copy')
    await until(async () => (await shown(second).catch(() => undefined)) === 'the original')
    await untilHit(first, 'the copy')
    expect(await shown(second)).to.equal('the original')
  })

  it('are isolated when one replaces the other with the same name and oid', async () => {
    await fillAndLeave()
    await admin.query(`create database ${copy} template ${name}`)
    await run(copy, about('the copy'))
    const { rows } = await admin.query<{ oid: string }>(
      `select oid::text from pg_database where datname = '${name}'`,
    )
    await admin.query(`drop database ${name} with (force)`)
    await admin.query(`create database ${name} template ${copy} oid = ${rows[0]?.oid}`)
    const again = await api(name)
    await until(() => again.seen(RESOURCE) !== null)
    expect(await shown(again)).to.equal('the copy')
    await invalidator(name)
    await untilHit(again, 'the copy')
  })
})
