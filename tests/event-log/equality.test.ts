import { expect } from 'chai'
import { type EventLog, openEventLog } from './event-log.ts'

/** Primary keys of types in which `=` treats values with different texts as equal. */
const PRIMARY_KEYS = [
  { type: 'text collate caseless', before: `'a'`, after: `'A'`, other: `'z'` },
  { type: 'text collate normalised', before: `U&'\\00e9'`, after: `U&'e\\0301'`, other: `'z'` },
  { type: 'citext', before: `'a'`, after: `'A'`, other: `'z'` },
  { type: 'numeric', before: '1.0', after: '1.00', other: '9' },
  { type: 'interval', before: `'24 hours'`, after: `'1 day'`, other: `'9 days'` },
  { type: 'double precision', before: '0', after: `'-0'`, other: '9' },
].map((one, i) => ({ ...one, table: `keyed_${i}` }))

describe('events of values that SQL treats as equal but that have different texts', () => {
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

  it('list every text of several inserted rows', async () => {
    expect(await log.logged(TWO)).to.eql(['address I all [["Perth","ANN@X"],["Perth","ann@x"]]'])
  })

  it('list every text of several deleted rows', async () => {
    await log.client.query(TWO)
    expect(await log.logged('delete from address')).to.eql([
      'address D all [["Perth","ANN@X"],["Perth","ann@x"]]',
    ])
  })

  it('list the old and the new text of one updated row', async () => {
    await log.client.query(`insert into address values (1, 'ann@x', 'Perth')`)
    expect(await log.logged(`update address set email = 'Ann@x'`)).to.eql([
      'address U email [["Perth","Ann@x"],["Perth","ann@x"]]',
    ])
  })

  it('list the old and the new texts of several updated rows', async () => {
    await log.client.query(TWO)
    expect(await log.logged('update address set email = initcap(email)')).to.eql([
      'address U email [["Perth","ANN@X"],["Perth","Ann@X"],["Perth","ann@x"]]',
    ])
    expect(await log.logged(`update address set city = upper(city)`)).to.eql([
      'address U city [["PERTH","Ann@X"],["Perth","Ann@X"]]',
    ])
  })

  it('list both texts that differ only in their Unicode normalisation', async () => {
    await log.client.query(
      `insert into address select id, null, U&'\\00e9' from generate_series(1, 2) id`,
    )
    expect(await log.logged(`update address set city = normalize(city, nfd)`)).to.eql([
      'address U city [["e\u0301",null],["\u00e9",null]]',
    ])
  })

  it('treat a case change in a primary key column as a deleted and an inserted row', async () => {
    await log.client.query(`insert into tag values ('a', 1), ('b', 1)`)
    expect(await log.logged(`update tag set code = 'A' where code = 'a'`)).to.eql([
      'tag U all [["A"],["a"]]',
    ])
    expect(
      await log.logged(`update tag set code = case code when 'a' then 'a' else 'B' end`),
    ).to.eql(['tag U all [["A"],["B"],["a"],["b"]]'])
  })

  for (const { table, type, before, after, other } of PRIMARY_KEYS) {
    it(`treat a primary key (${type}) that changes from ${before} to ${after} as a deleted and an inserted row`, async () => {
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
