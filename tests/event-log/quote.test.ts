import { expect } from 'chai'
import { compileRules, defineResource } from '../../shared/cache/index.ts'
import { RESERVED } from '../../db/event-log/installation/quote.ts'
import { type EventLog, openEventLog } from './event-log.ts'

/** Tables whose names and columns are reserved words, or need quotes for another reason. */
const DDL = `
  create schema shop;
  create table shop."user" (id int primary key, "group" text);
  create table "order" ("user" int, "Table No" int, "select" text, primary key ("user", "Table No"));
`
const RULES = compileRules([
  defineResource({
    name: 'order',
    version: 1,
    key: 'order:{user}:{no}',
    staleWhen: [
      { table: 'order', watch: ['select'], key: { user: 'user', no: 'Table No' } },
      { table: 'shop.user', watch: ['group'], from: ['group'], query: 'select 1 as user, 2 as no' },
    ],
  }),
])

describe('a table whose name is a reserved word', () => {
  let log: EventLog
  before(async () => {
    log = await openEventLog(DDL, RULES)
  })
  after(() => log[Symbol.asyncDispose]())

  it('logs its changes, with columns that are reserved words', async () => {
    expect(await log.logged(`insert into "order" values (1, 2, 'a'), (3, 4, 'a')`)).to.deep.equal([
      'order I all [["2","1"],["4","3"]]',
    ])
    expect(await log.logged(`update "order" set "select" = 'b' where "user" = 1`)).to.deep.equal([
      'order U select [["2","1"]]',
    ])
    expect(await log.logged(`update "order" set "select" = 'c'`)).to.deep.equal([
      'order U select [["2","1"],["4","3"]]',
    ])
    expect(await log.logged(`delete from "order"`)).to.deep.equal([
      'order D all [["2","1"],["4","3"]]',
    ])
  })

  it('logs its changes if the name is qualified with a schema', async () => {
    expect(await log.logged(`insert into shop."user" values (1, 'a')`)).to.deep.equal([
      'shop.user I all [["a"]]',
    ])
    expect(await log.logged(`update shop."user" set "group" = 'b'`)).to.deep.equal([
      'shop.user U group [["a"],["b"]]',
    ])
  })

  it('is installed again without a change', async () => {
    expect((await log.install()).changed).to.deep.equal([])
  })

  it('is quoted if Postgres reserves the word', async () => {
    const { rows } = await log.client.query<{ word: string }>(
      `select word from pg_get_keywords() where catcode in ('R', 'T') order by word collate "C"`,
    )
    expect([...RESERVED]).to.include.members(rows.map(({ word }) => word))
  })
})
