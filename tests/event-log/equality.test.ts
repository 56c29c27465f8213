import { expect } from 'chai'
import { type EventLog, openEventLog } from './event-log.ts'

/** Primary keys of types in which `=` calls two values equal that have different texts. */
const PRIMARY_KEYS = [
  { type: 'text collate caseless', before: `'a'`, after: `'A'`, other: `'z'` },
  { type: 'text collate normalised', before: `U&'\\00e9'`, after: `U&'e\\0301'`, other: `'z'` },
  { type: 'citext', before: `'a'`, after: `'A'`, other: `'z'` },
  { type: 'numeric', before: '1.0', after: '1.00', other: '9' },
  { type: 'interval', before: `'24 hours'`, after: `'1 day'`, other: `'9 days'` },
  { type: 'double precision', before: '0', after: `'-0'`, other: '9' },
].map((one, i) => ({ ...one, table: `keyed_${i}` }))

describe('what a statement logs where SQL calls different values equal', () => {
  let log: EventLog

  before(async () => {
    const tables = PRIMARY_KEYS.map(
      ({ table, type }) => `create table ${table} (id ${type} primary key, owner bigint);`,
    )
    log = await openEventLog(
      `create extension citext;
       create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
       create collation normalised (provider = icu, locale = 'und', deterministic = false);
       create table address (
         id bigint primary key, email varchar(254) collate caseless, city text collate normalised
       );
       create table tag (code text collate caseless, place int, note text, primary key (code, place));
       ${tables.join('')}`,
      {
        tables: [
          { name: 'address', watch: ['city', 'email'], keys: ['city', 'email'] },
          { name: 'tag', watch: ['note'], keys: ['code'] },
          ...PRIMARY_KEYS.map(({ table }) => ({ name: table, watch: ['owner'], keys: ['owner'] })),
        ],
      },
    )
  })
  after(() => log[Symbol.asyncDispose]())
  afterEach(() => log.client.query('delete from address; delete from tag'))

  const TWO = `insert into address values (1, 'ann@x', 'Perth'), (2, 'ANN@X', 'Perth')`

  it('names every text that several inserted rows have', async () => {
    expect(await log.logged(TWO)).to.eql(['address I all [["Perth","ANN@X"],["Perth","ann@x"]]'])
  })

  it('names every text that several deleted rows had', async () => {
    await log.client.query(TWO)
    expect(await log.logged('delete from address')).to.eql([
      'address D all [["Perth","ANN@X"],["Perth","ann@x"]]',
    ])
  })

  it('names the old and the new text of one row', async () => {
    await log.client.query(`insert into address values (1, 'ann@x', 'Perth')`)
    expect(await log.logged(`update address set email = 'Ann@x'`)).to.eql([
      'address U email [["Perth","Ann@x"],["Perth","ann@x"]]',
    ])
  })

  it('names the old and the new texts of several rows', async () => {
    await log.client.query(TWO)
    expect(await log.logged('update address set email = initcap(email)')).to.eql([
      'address U email [["Perth","ANN@X"],["Perth","Ann@X"],["Perth","ann@x"]]',
    ])
    expect(await log.logged(`update address set city = upper(city)`)).to.eql([
      'address U city [["PERTH","Ann@X"],["Perth","Ann@X"]]',
    ])
  })

  it('names both forms of a text that differ in their Unicode normalisation only', async () => {
    await log.client.query(
      `insert into address select id, null, U&'\\00e9' from generate_series(1, 2) id`,
    )
    expect(await log.logged(`update address set city = normalize(city, nfd)`)).to.eql([
      'address U city [["e\u0301",null],["\u00e9",null]]',
    ])
  })

  it('counts a key column of a primary key that changed its case as gone and come', async () => {
    await log.client.query(`insert into tag values ('a', 1), ('b', 1)`)
    expect(await log.logged(`update tag set code = 'A' where code = 'a'`)).to.eql([
      'tag U all [["A"],["a"]]',
    ])
    expect(
      await log.logged(`update tag set code = case code when 'a' then 'a' else 'B' end`),
    ).to.eql(['tag U all [["A"],["B"],["a"],["b"]]'])
  })

  for (const { table, type, before, after, other } of PRIMARY_KEYS) {
    it(`counts a primary key (${type}) that changes from ${before} to ${after} as gone and come`, async () => {
      const change = `update ${table} set id = case when owner = 7 then ${after} else id end`
      await log.client.query(`insert into ${table} values (${before}, 7)`)
      expect(await log.logged(change), 'alone').to.eql([`${table} U all [["7"]]`])
      await log.client.query(
        `delete from ${table}; insert into ${table} values (${before}, 7), (${other}, 8)`,
      )
      expect(await log.logged(change), 'beside another row').to.eql([`${table} U all [["7"]]`])
    })
  }
})
