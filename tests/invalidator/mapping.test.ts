import { expect } from 'chai'
import type { InstalledTable } from '../../db/event-log/definition.ts'
import type { Event } from '../../db/event-log/event.ts'
import type { InstalledRules } from '../../db/event-log/rules.ts'
import { createMapping } from '../../invalidator/mapping.ts'
import type { ResourceRules } from '../../shared/cache/resource.ts'

const bird: ResourceRules = {
  name: 'bird',
  version: 3,
  key: 'bird:{id}',
  staleWhen: [
    { table: 'bird', watch: ['name', 'weight'], key: { id: 'id' } },
    { table: 'ring', watch: ['code'], key: { id: 'bird_id' } },
    { table: 'nest', watch: ['place'], from: ['id'], query: 'birds of nests' },
  ],
}
const nest: ResourceRules = {
  name: 'nest',
  version: 1,
  key: 'nest:{nest_id}:birds',
  staleWhen: [
    { table: 'bird', watch: ['name'], key: { nest_id: 'nest_id' } },
    { table: 'nest', watch: ['place'], key: { nest_id: 'id' } },
    { table: 'ring', watch: [], from: ['bird_id', 'code'], query: 'nests of rings' },
  ],
}
const census: ResourceRules = {
  name: 'census',
  version: 1,
  key: 'census',
  staleWhen: [{ table: 'bird', watch: ['weight'], key: {} }],
}
const catalog = [bird, nest, census]

/** The second version has other columns in another order; the third does not report a parent. */
const VERSIONS: Record<number, InstalledTable[]> = {
  1: [
    {
      id: 1,
      version: 1,
      name: 'bird',
      watch: ['name', 'nest_id', 'weight'],
      keys: ['id', 'nest_id'],
      primaryKey: ['id'],
    },
    { id: 2, version: 1, name: 'nest', watch: ['place'], keys: ['id'], primaryKey: ['id'] },
    {
      id: 3,
      version: 1,
      name: 'ring',
      watch: ['code'],
      keys: ['bird_id', 'code'],
      primaryKey: ['bird_id', 'code'],
    },
    { id: 4, version: 1, name: 'weather', watch: ['rain'], keys: ['day'], primaryKey: ['day'] },
  ],
  2: [
    {
      id: 1,
      version: 1,
      name: 'bird',
      watch: ['weight', 'colour', 'nest_id', 'name'],
      keys: ['nest_id', 'colour', 'id'],
      primaryKey: ['id'],
    },
  ],
  3: [{ id: 1, version: 1, name: 'bird', watch: ['weight'], keys: ['id'], primaryKey: ['id'] }],
}
const NAMES: Record<number, string> = { 1: 'bird', 2: 'nest', 3: 'ring', 4: 'weather' }
const rules: InstalledRules = {
  find: (version, id) => VERSIONS[version]?.find((table) => table.id === id) ?? null,
  versionsOf: () => [],
  nameOf: (id) => NAMES[id] ?? null,
  ids: new Map(),
  newest: null,
}
const mapping = createMapping(catalog, rules, 'p')

const event = (fact: Partial<Event>): Event => ({
  version: 1,
  tableId: 1,
  op: 'U',
  changed: -1n,
  keys: null,
  atMs: 0,
  ...fact,
})

interface Outcome {
  readonly keys?: Record<string, string[]>
  readonly flush?: Record<string, string>
  readonly lookups?: readonly (readonly [resource: string, query: string, ...values: string[][]])[]
}

function map(events: readonly Event[], resources = catalog, coarse = false): Outcome {
  const { keys, flush, lookups } = mapping.map(events, resources, coarse)
  return {
    keys: Object.fromEntries([...keys].map(([name, found]) => [name, [...found].toSorted()])),
    flush: Object.fromEntries(flush),
    lookups: lookups.map(({ resource, rule, values }) => [
      resource.name,
      rule.query,
      ...values.map((column) => [...column]),
    ]),
  }
}

const NAME = 0b001n
const NEST = 0b010n
const WEIGHT = 0b100n

describe('what an event makes stale', () => {
  const facts: [string, Partial<Event>[], Outcome][] = [
    ['nothing', [], {}],
    [
      'a row that came: every rule of its table',
      [{ op: 'I', keys: [['7', '2']] }],
      { keys: { bird: ['p/v3/bird:7'], nest: ['p/v1/nest:2:birds'], census: ['p/v1/census'] } },
    ],
    [
      'a row that went, without a parent: no entry for the null',
      [{ op: 'D', keys: [['7', null]] }],
      { keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] } },
    ],
    [
      'a column that two rules watch',
      [{ changed: NAME, keys: [['7', '2']] }],
      { keys: { bird: ['p/v3/bird:7'], nest: ['p/v1/nest:2:birds'] } },
    ],
    [
      'a column that one of them watches',
      [{ changed: WEIGHT, keys: [['7', '2']] }],
      { keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] } },
    ],
    [
      'a row that moved: the entries it leads from and to, though no rule watches the column',
      [
        {
          changed: NEST,
          keys: [
            ['7', '2'],
            ['7', '3'],
          ],
        },
      ],
      { keys: { nest: ['p/v1/nest:2:birds', 'p/v1/nest:3:birds'] } },
    ],
    [
      'several rows and events: each entry once',
      [
        {
          changed: WEIGHT,
          keys: [
            ['7', '2'],
            ['8', '2'],
          ],
        },
        {
          changed: WEIGHT,
          keys: [
            ['8', '2'],
            ['9', '2'],
          ],
        },
      ],
      { keys: { bird: ['p/v3/bird:7', 'p/v3/bird:8', 'p/v3/bird:9'], census: ['p/v1/census'] } },
    ],
    [
      'a lookup: its arguments by column, each row of them once',
      [
        { tableId: 2, keys: [['1'], ['2']] },
        { tableId: 2, keys: [['2'], ['3']] },
      ],
      {
        keys: { nest: ['p/v1/nest:1:birds', 'p/v1/nest:2:birds', 'p/v1/nest:3:birds'] },
        lookups: [['bird', 'birds of nests', ['1', '2', '3']]],
      },
    ],
    [
      'a lookup of two columns: rows stay together, and a null leaves its row out',
      [
        {
          tableId: 3,
          op: 'D',
          keys: [
            ['1', 'a'],
            ['2', null],
            ['3', 'b'],
          ],
        },
      ],
      {
        keys: { bird: ['p/v3/bird:1', 'p/v3/bird:2', 'p/v3/bird:3'] },
        lookups: [['nest', 'nests of rings', ['1', '3'], ['a', 'b']]],
      },
    ],
    ['a table that no rule names', [{ tableId: 4, keys: [['1']] }], {}],
    ['a table that no rule names, emptied', [{ tableId: 4, op: 'T' }], {}],
    [
      'truncate, bulk and fault: all who read the table, by key or on a path',
      [{ tableId: 2, op: 'T' }],
      { flush: { bird: 'T', nest: 'T' } },
    ],
    ['a bulk change', [{ tableId: 1, op: 'B' }], { flush: { bird: 'B', nest: 'B', census: 'B' } }],
    ['a trigger fault', [{ tableId: 3, op: 'X' }], { flush: { bird: 'X', nest: 'X' } }],
    [
      'a flush beside keys: no lookup for what is flushed anyway',
      [
        { tableId: 2, keys: [['1']] },
        { tableId: 3, op: 'T' },
      ],
      { keys: { nest: ['p/v1/nest:1:birds'] }, flush: { bird: 'T', nest: 'T' } },
    ],
    [
      'a flush on demand by name',
      [{ op: 'F', version: 0, tableId: 0, keys: ['nest'] }],
      { flush: { nest: 'F' } },
    ],
    [
      'a flush on demand by pattern',
      [{ op: 'F', version: 0, tableId: 0, keys: ['bird:*'] }],
      { flush: { bird: 'F' } },
    ],
    [
      'an event of another version: by column names, whatever their order',
      [{ version: 2, changed: 0b0001n, keys: [['2', 'red', '7']] }],
      { keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] } },
    ],
    [
      'an event of another version: the mask is its own',
      [{ version: 2, changed: 0b0010n, keys: [['2', 'red', '7']] }],
      {},
    ],
    [
      'a version that does not watch what a rule needs: any change may be that one',
      [{ version: 3, changed: 0b1n, keys: [['7']] }],
      {
        keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] },
        flush: { nest: 'unknown version' },
      },
    ],
    [
      'a version nobody knows: all who read its table',
      [{ version: 9, tableId: 2, keys: [['1']] }],
      { flush: { bird: 'unknown version', nest: 'unknown version' } },
    ],
    [
      'a table nobody knows: everything',
      [{ version: 9, tableId: 99, keys: [['1']] }],
      { flush: { bird: 'unknown version', nest: 'unknown version', census: 'unknown version' } },
    ],
  ]
  for (const [what, events, expected] of facts) {
    it(what, () => {
      expect(map(events.map(event))).to.eql({ keys: {}, flush: {}, lookups: [], ...expected })
    })
  }

  it('only for the resources that were asked for', () => {
    expect(map([event({ keys: [['7', '2']] })], [census])).to.eql({
      keys: { census: ['p/v1/census'] },
      flush: {},
      lookups: [],
    })
    expect(
      map([event({ tableId: 2, op: 'T' }), event({ version: 9, tableId: 99 })], [nest]),
    ).to.eql({
      keys: {},
      flush: { nest: 'unknown version' },
      lookups: [],
    })
  })

  it('in a backlog: whole resources, by table, and flushes on demand as they are', () => {
    expect(
      map(
        [event({ tableId: 2 }), event({ op: 'F', version: 0, tableId: 0, keys: ['census'] })],
        catalog,
        true,
      ),
    ).to.eql({ keys: {}, flush: { bird: 'backlog', nest: 'backlog', census: 'F' }, lookups: [] })
  })
})
