import { expect } from 'chai'
import type { Event, InstalledRules, InstalledTable } from '../../db/event-log/index.ts'
import { createMapping } from '../../invalidator/mapping.ts'
import type { ResourceRules } from '../../shared/cache/index.ts'

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
    { table: 'ring', watch: [], from: ['bird_id', 'code'], query: 'nests of bands' },
  ],
}
const census: ResourceRules = {
  name: 'census',
  version: 1,
  key: 'census',
  staleWhen: [{ table: 'bird', watch: ['weight'], key: {} }],
}
const catalog = [bird, nest, census]

/** Version 2 has other columns in another order; version 3 does not report `nest_id`. */
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

describe('mapping of events to stale entries', () => {
  const facts: [string, Partial<Event>[], Outcome][] = [
    ['no event', [], {}],
    [
      'inserted row: applies every rule of the table',
      [{ op: 'I', keys: [['7', '2']] }],
      { keys: { bird: ['p/v3/bird:7'], nest: ['p/v1/nest:2:birds'], census: ['p/v1/census'] } },
    ],
    [
      'deleted row without a parent: yields no entry for the null',
      [{ op: 'D', keys: [['7', null]] }],
      { keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] } },
    ],
    [
      'changed column that two rules watch',
      [{ changed: NAME, keys: [['7', '2']] }],
      { keys: { bird: ['p/v3/bird:7'], nest: ['p/v1/nest:2:birds'] } },
    ],
    [
      'changed column that one rule watches',
      [{ changed: WEIGHT, keys: [['7', '2']] }],
      { keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] } },
    ],
    [
      'moved row: yields the old and the new entry, though no rule watches the column',
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
      'several rows and events: yields each entry once',
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
      'lookup: yields its distinct arguments',
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
      'lookup with two columns: keeps rows together and skips rows with null',
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
        lookups: [['nest', 'nests of bands', ['1', '3'], ['a', 'b']]],
      },
    ],
    ['change of a table without rules', [{ tableId: 4, keys: [['1']] }], {}],
    ['TRUNCATE of a table without rules', [{ tableId: 4, op: 'T' }], {}],
    [
      'TRUNCATE: flushes all resources of the table',
      [{ tableId: 2, op: 'T' }],
      { flush: { bird: 'T', nest: 'T' } },
    ],
    ['bulk change', [{ tableId: 1, op: 'B' }], { flush: { bird: 'B', nest: 'B', census: 'B' } }],
    ['trigger fault', [{ tableId: 3, op: 'X' }], { flush: { bird: 'X', nest: 'X' } }],
    [
      'flush and keys: skips lookups of flushed resources',
      [
        { tableId: 2, keys: [['1']] },
        { tableId: 3, op: 'T' },
      ],
      { keys: { nest: ['p/v1/nest:1:birds'] }, flush: { bird: 'T', nest: 'T' } },
    ],
    [
      'requested flush by name',
      [{ op: 'F', version: 0, tableId: 0, keys: ['nest'] }],
      { flush: { nest: 'F' } },
    ],
    [
      'requested flush by pattern',
      [{ op: 'F', version: 0, tableId: 0, keys: ['bird:*'] }],
      { flush: { bird: 'F' } },
    ],
    [
      'event of another version: maps columns by name',
      [{ version: 2, changed: 0b0001n, keys: [['2', 'red', '7']] }],
      { keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] } },
    ],
    [
      'event of another version: uses the column mask of that version',
      [{ version: 2, changed: 0b0010n, keys: [['2', 'red', '7']] }],
      {},
    ],
    [
      'version that does not watch a required column: treats every change as relevant',
      [{ version: 3, changed: 0b1n, keys: [['7']] }],
      {
        keys: { bird: ['p/v3/bird:7'], census: ['p/v1/census'] },
        flush: { nest: 'unknown version' },
      },
    ],
    [
      'unknown version: flushes all resources of the table',
      [{ version: 9, tableId: 2, keys: [['1']] }],
      { flush: { bird: 'unknown version', nest: 'unknown version' } },
    ],
    [
      'unknown table: flushes all resources',
      [{ version: 9, tableId: 99, keys: [['1']] }],
      { flush: { bird: 'unknown version', nest: 'unknown version', census: 'unknown version' } },
    ],
  ]
  for (const [what, events, expected] of facts) {
    it(what, () => {
      expect(map(events.map(event))).to.eql({ keys: {}, flush: {}, lookups: [], ...expected })
    })
  }

  it('is limited to the given resources', () => {
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

  it('flushes whole resources by table in a backlog, and requested flushes as they are', () => {
    expect(
      map(
        [event({ tableId: 2 }), event({ op: 'F', version: 0, tableId: 0, keys: ['census'] })],
        catalog,
        true,
      ),
    ).to.eql({ keys: {}, flush: { bird: 'backlog', nest: 'backlog', census: 'F' }, lookups: [] })
  })
})
