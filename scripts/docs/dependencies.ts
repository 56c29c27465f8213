import {
  columnsOf,
  compileRules,
  isLookup,
  type ResourceRules,
  type Rule,
} from '../../shared/cache/index.ts'

/** Returns the page that lists the columns that make entries stale, by resource and by column. */
export function describeDependencies(catalog: readonly ResourceRules[]): string {
  const resources = catalog.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return [
    '# Dependencies',
    '',
    'This page lists the columns whose changes make cached entries stale. `npm run docs` generates it from the rules',
    'in `shared/resources`, which also define the triggers and the invalidation. An insert or a delete of a row',
    'affects every resource that depends on its table. An update affects the resources that depend on a changed column.',
    '',
    '## By resource',
    ...resources.flatMap(describeResource),
    '',
    '## By table and column',
    ...compileRules(resources).tables.flatMap(({ name, watch }) =>
      describeTable(name, watch, resources),
    ),
    '',
  ].join('\n')
}

function describeResource({ name, key, version, staleWhen }: ResourceRules): string[] {
  const rows = staleWhen
    .toSorted((a, b) => (a.table < b.table ? -1 : 1))
    .map((rule) => [code(rule.table), codes(rule.watch), entriesOf(rule)])
  return [
    '',
    `### ${code(name)}`,
    '',
    `Key ${code(key)}, version ${version}.`,
    '',
    ...table(['table', 'columns', 'which entries'], rows),
  ]
}

function entriesOf(rule: Rule): string {
  const columns = codes(columnsOf(rule))
  if (isLookup(rule)) return `entries that a lookup finds from ${columns}`
  return columns === '' ? 'the only entry' : `the entry with key ${columns}`
}

function describeTable(
  name: string,
  columns: readonly string[],
  resources: readonly ResourceRules[],
): string[] {
  const dependents = (watches: (rule: Rule) => boolean) =>
    codes(
      resources
        .filter(({ staleWhen }) => staleWhen.some((rule) => rule.table === name && watches(rule)))
        .map((resource) => resource.name),
    )
  return [
    '',
    `### ${code(name)}`,
    '',
    ...table(
      ['column', 'makes stale'],
      [
        ['insert, delete', dependents(() => true)],
        ...columns.map((column) => [
          code(column),
          dependents(({ watch }) => watch.includes(column)),
        ]),
      ],
    ),
  ]
}

const code = (text: string) => `\`${text}\``
const codes = (texts: readonly string[]) => texts.map(code).join(', ')

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
