import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { install, readStatus, uninstall } from '../../db/event-log/index.ts'
import {
  type Answer,
  compileRules,
  createVerifier,
  entryKey,
  type Redis,
} from '../../shared/cache/index.ts'
import { type CachedReads, openCachedReads } from '../support/cached-reads.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { book, loans } from './library.ts'
import type { Library } from './tables.ts'

const catalog = [book, loans]
/** Time in which readers and invalidators detect that a build was retired. */
const GRACE_MS = 3_000

describe('the engine with the tables of another application', function () {
  this.timeout(60_000)
  const [author, other] = [randomUUID(), randomUUID()]
  let database: TestDatabase
  let client: Client
  let reads: CachedReads<Library>

  before(async () => {
    database = await createEmptyDatabase()
    const { url } = database
    client = new Client({ connectionString: url })
    await client.connect()
    await client.query(await readFile(new URL('library.sql', import.meta.url), 'utf8'))
    await client.query(
      `insert into library.author values ('${author}', 'Woolf'), ('${other}', 'Mann');
       insert into library.book values
         ('${author}', 'QA', 'Orlando'), ('${author}', 'QA:76', 'Flush'), ('${author}', '', 'Waves'),
         ('${author}', '100%', 'Years'), ('${other}', 'QA', 'Tonio')`,
    )
    const installed = await install(url, compileRules(catalog))
    expect(installed.warnings).to.deep.equal([])
    expect(installed.changed).to.have.members(['library.author', 'library.book', 'library.loan'])
    reads = await openCachedReads(url, catalog, 'library')
  })
  after(async () => {
    await reads[Symbol.asyncDispose]()
    await client.end()
    await database[Symbol.asyncDispose]()
  })

  const readBook = (code: string, author_id: string = author) =>
    reads.reader.read(book, { author_id, code }, 'full')
  const readLoans = (author_id: string) => reads.reader.read(loans, { author_id }, 'count')

  /** Reads until the answer comes from Redis. */
  async function readCached(read: () => Promise<Answer>): Promise<string> {
    let answer = await read()
    await until(async () => (answer = await read()).outcome === 'hit')
    return String(answer.body)
  }

  /** Runs a statement of another program, and waits until it was applied. */
  async function change(sql: string): Promise<void> {
    await client.query(sql)
    await reads.untilApplied()
  }

  const described = ({ outcome, body }: Answer) => `${outcome} ${String(body)}`

  it('answers the second read of a row with a composite key from Redis', async () => {
    await until(async () => (await readBook('QA')).outcome === 'hit')
    expect(described(await readBook('QA'))).to.equal(
      'hit {"title" : "Orlando", "author" : "Woolf"}',
    )
  })

  it('answers with the new value after a change by SQL, and keeps other entries', async () => {
    await readCached(() => readBook('QA'))
    await readCached(() => readBook('QA', other))
    await change(`update library.book set title = 'Night' where title = 'Orlando'`)
    expect(described(await readBook('QA'))).to.equal('miss {"title" : "Night", "author" : "Woolf"}')
    expect((await readBook('QA', other)).outcome).to.equal('hit')
  })

  it('follows a lookup from a uuid to every entry with a composite key', async () => {
    for (const code of ['QA', 'QA:76', '', '100%']) await readCached(() => readBook(code))
    await readCached(() => readBook('QA', other))
    await change(`update library.author set name = 'V. Woolf' where id = '${author}'`)
    for (const code of ['QA', 'QA:76', '', '100%']) {
      const answer = await readBook(code)
      expect(described(answer), code).to.match(/^miss .* "V. Woolf"}$/)
    }
    expect((await readBook('QA', other)).outcome).to.equal('hit')
  })

  it('invalidates both entries if a part of a composite key changes', async () => {
    await client.query(
      `insert into library.loan (author_id, code, borrower) values ('${other}', 'QA', 'Anna')`,
    )
    await reads.untilApplied()
    expect(await readCached(() => readLoans(other))).to.equal('1')
    expect(await readCached(() => readLoans(author))).to.equal('0')
    expect(described(await readBook('QB', other))).to.equal('miss null')
    await change(
      `update library.book set code = 'QB' where author_id = '${other}';
       update library.loan set author_id = '${author}', code = 'QA'`,
    )
    expect(described(await readBook('QA', other))).to.equal('miss null')
    expect(described(await readBook('QB', other))).to.match(/^miss .*Tonio/)
    expect(described(await readLoans(other))).to.equal('miss 0')
    expect(described(await readLoans(author))).to.equal('miss 1')
  })

  it('keeps entries apart whose keys differ only in the place of a colon', async () => {
    const keys = [
      { author_id: 'a', code: 'b:c' },
      { author_id: 'a:b', code: 'c' },
      { author_id: 'a%3Ab', code: 'c' },
      { author_id: 'a', code: 'b%3Ac' },
    ].map((params) => entryKey('prefix', book, params))
    expect(new Set(keys)).to.have.length(keys.length)
  })

  it('flushes every entry of a resource, also with a colon in its key', async () => {
    const codes = ['QA', 'QA:76', '', '100%']
    for (const code of codes) await readCached(() => readBook(code))
    await change(`select invalidation.flush('book')`)
    for (const code of codes) expect((await readBook(code)).outcome, code).to.equal('miss')
  })

  it('verifies every entry, and detects a wrong one', async () => {
    const codes = ['QA', 'QA:76', '', '100%']
    for (const code of codes) await readCached(() => readBook(code))
    await readCached(() => readLoans(author))
    const { buckets, db, prefix } = reads
    const redis = buckets.connectionOf(0) as Redis
    const keyOf = (code: string) => entryKey(prefix, book, { author_id: author, code })
    const verifier = createVerifier({
      buckets,
      db,
      resources: catalog,
      prefix,
    })
    const outcomes = async () =>
      new Map((await verifier.verify()).map((it) => [it.key, it.outcome]))
    const all = await outcomes()
    expect([...new Set(all.values())]).to.deep.equal(['right'])
    expect([...all.keys()]).to.include.members([
      ...codes.map(keyOf),
      entryKey(prefix, loans, { author_id: author }),
    ])

    const value = await redis.hgetBuffer(keyOf('QA'), 'full')
    await redis.hset(keyOf('QA:76'), 'full', value ?? '')
    expect((await outcomes()).get(keyOf('QA:76'))).to.equal('wrong')
    expect((await readBook('QA:76')).outcome).to.equal('miss')
  })

  it('uses only names that it was given', async () => {
    const { rows } = await client.query<{ name: string }>(
      `select application_name as name from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    )
    for (const { name } of rows) expect(name).to.match(/^library-/)
    for (const registry of reads.registries) {
      for (const { name } of await registry.getMetricsAsJSON()) expect(name).to.match(/^library_/)
    }
    const written = (await (reads.buckets.connectionOf(0) as Redis).keys('*')).filter((key) =>
      key.includes('book'),
    )
    for (const key of written) expect(key.startsWith(`${reads.prefix}/`), key).to.be.true
  })

  it('leaves only the tables of the application after it was uninstalled', async () => {
    await readCached(() => readBook('QA'))
    expect((await readStatus(database.url)).damaged).to.deep.equal([])
    await uninstall(database.url, GRACE_MS)
    const { rows } = await client.query(
      `select tgname as name from pg_trigger where not tgisinternal
       union all select nspname from pg_namespace where nspname = 'invalidation'`,
    )
    expect(rows).to.deep.equal([])
    await client.query(`update library.book set title = 'Acts' where title = 'Night'`)
    expect(described(await readBook('QA'))).to.equal(
      'bypass {"title" : "Acts", "author" : "V. Woolf"}',
    )
  })
})
