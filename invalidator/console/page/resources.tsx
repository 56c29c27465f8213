import { useEffect, useRef, useState } from 'preact/hooks'
import { readResources } from './api.ts'
import { Diagram, type Graph, wrap } from './diagram.tsx'
import { bytes, count, duration, percent } from './format.ts'
import { linkTo } from './use-route.ts'
import type { ExplainedRule, ShownResource } from './types.ts'

const EVERY_MS = 5_000

/** Every resource with its figures, and what depends on what. */
export function Resources({ query }: { readonly query: URLSearchParams }) {
  const [resources, setResources] = useState<readonly ShownResource[] | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  useEffect(() => {
    const read = () =>
      readResources().then(
        (found) => {
          setResources(found)
          setFailure(null)
        },
        (error: unknown) => setFailure(error instanceof Error ? error.message : String(error)),
      )
    void read()
    const timer = window.setInterval(() => void read(), EVERY_MS)
    return () => window.clearInterval(timer)
  }, [])
  const selected = query.toString()
  const last = useRef(selected)
  useEffect(() => {
    // The diagram is below the table in which it is selected.
    if (selected !== last.current) document.getElementById('dependencies')?.scrollIntoView()
    last.current = selected
  }, [selected])
  if (resources === null) return <p class="quiet note">{failure ?? 'Counting entries …'}</p>
  const table = query.get('table')
  const name = query.get('name') ?? resources[0]?.name
  const shown = resources.find((one) => one.name === name)
  return (
    <>
      <Table resources={resources} current={table === null ? shown?.name : undefined} />
      <section class="card" aria-labelledby="dependencies">
        <h2 id="dependencies">Dependencies</h2>
        <Chooser
          resources={resources}
          name={table === null ? shown?.name : undefined}
          table={table}
        />
        {table !== null ? (
          <Reverse resources={resources} table={table} column={query.get('column')} />
        ) : (
          shown !== undefined && <Dependencies resource={shown} />
        )}
      </section>
    </>
  )
}

function Table({
  resources,
  current,
}: {
  readonly resources: readonly ShownResource[]
  readonly current: string | undefined
}) {
  return (
    <section class="card" aria-labelledby="resources">
      <h2 id="resources">Resources</h2>
      <div class="scroll" role="region" aria-label="Table of resources" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Resource</th>
              <th scope="col">Key</th>
              {['TTL', 'Entries', 'Size', 'Hit rate', 'Loads', 'Invalidated'].map((head) => (
                <th key={head} scope="col" class="number">
                  {head}
                </th>
              ))}
              <th scope="col">Bypasses</th>
            </tr>
          </thead>
          <tbody>
            {resources.map((one) => (
              <tr key={one.name} class={one.name === current ? 'current' : undefined}>
                <th scope="row">
                  <a href={linkTo('resources', { name: one.name })}>{one.name}</a>
                </th>
                <td>
                  <code class="quiet">{one.key}</code>
                </td>
                <td class="number">{duration(one.ttlMs)}</td>
                <td class="number">
                  {one.usage === null
                    ? '–'
                    : `${count(one.usage.entries)}${one.usage.isPartial ? '+' : ''}`}
                </td>
                <td class="number">{bytes(one.usage?.bytes)}</td>
                <td class="number">{percent(one.hits, readsOf(one))}</td>
                <td class="number">{count(one.loads)}</td>
                <td class="number">{count(one.invalidated)}</td>
                <td class="brief">
                  {Object.entries(one.bypasses)
                    .map(([reason, n]) => `${reason} ${count(n)}`)
                    .join(', ') || <span class="quiet">none</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet note">
        Counters since the start of the running processes; entries every 30 s.
      </p>
    </section>
  )
}

const readsOf = ({ hits, misses, stale, bypasses }: ShownResource) =>
  hits + misses + stale + Object.values(bypasses).reduce((sum, n) => sum + n, 0)

/** Returns a handler that shows what a field selects. */
const go = (key: 'name' | 'table') => (event: Event) => {
  const { value } = event.currentTarget as HTMLSelectElement
  if (value !== '') location.hash = linkTo('resources', { [key]: value })
}

function Chooser({
  resources,
  name,
  table,
}: {
  readonly resources: readonly ShownResource[]
  readonly name: string | undefined
  readonly table: string | null
}) {
  const tables = [...new Set(resources.flatMap(({ rules }) => rules.map((rule) => rule.table)))]
  return (
    <div class="filters">
      <label>
        Of the resource
        <select value={name ?? ''} onChange={go('name')}>
          <option value="">–</option>
          {resources.map((one) => (
            <option key={one.name}>{one.name}</option>
          ))}
        </select>
      </label>
      <label>
        From the table
        <select value={table ?? ''} onChange={go('table')}>
          <option value="">–</option>
          {tables.toSorted().map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
    </div>
  )
}

function Dependencies({ resource }: { readonly resource: ShownResource }) {
  return (
    <>
      <Diagram
        graph={graphOf(resource)}
        label={`Tables and lookups that lead to ${resource.name}`}
      />
      <details>
        <summary>As a list</summary>
        <ul class="plain">
          {resource.rules.map((rule, at) => (
            <li key={at}>{describe(rule)}</li>
          ))}
        </ul>
      </details>
    </>
  )
}

/** Describes a rule in words. */
export function describe({ table, columns, lookedUpFrom, where }: ExplainedRule): string {
  const watched = `${table} (${columns.join(', ')})`
  if (lookedUpFrom !== null) return `${watched}, looked up from ${lookedUpFrom.join(', ')}`
  const conditions = where.map(({ parameter, column }) => `${column} is {${parameter}}`)
  return conditions.length === 0 ? watched : `${watched} where ${conditions.join(' and ')}`
}

function graphOf({ name, key, rules }: ShownResource): Graph {
  const tables = [...new Set(rules.map(({ table }) => table))]
  const lookups = new Map<string, ExplainedRule>()
  for (const rule of rules) {
    if (rule.lookedUpFrom !== null) lookups.set(`${rule.table}/${rule.lookedUpFrom.join()}`, rule)
  }
  const columnsOf = (table: string) => [
    ...new Set(rules.filter((rule) => rule.table === table).flatMap(({ columns }) => columns)),
  ]
  return {
    headings: ['Tables and columns', ...(lookups.size > 0 ? ['Lookups'] : []), 'Entry'],
    columns: [
      tables.map((table) => ({
        id: table,
        title: table,
        lines: wrap(columnsOf(table)),
        href: linkTo('resources', { table }),
      })),
      ...(lookups.size > 0
        ? [
            [...lookups].map(([id, { table, lookedUpFrom }]) => ({
              id,
              title: `by ${lookedUpFrom?.join(', ')}`,
              lines: [`of ${table}`],
            })),
          ]
        : []),
      [{ id: '=', title: name, lines: [key] }],
    ],
    arrows: [
      ...new Map(
        rules
          .flatMap(({ table, lookedUpFrom }): (readonly [string, string])[] => {
            const id = `${table}/${lookedUpFrom?.join()}`
            return lookedUpFrom === null
              ? [[table, '=']]
              : [
                  [table, id],
                  [id, '='],
                ]
          })
          .map((arrow) => [arrow.join('→'), arrow]),
      ).values(),
    ],
  }
}

/** The entries that depend on a table or on one of its columns. */
function Reverse({
  resources,
  table,
  column,
}: {
  readonly resources: readonly ShownResource[]
  readonly table: string
  readonly column: string | null
}) {
  const rulesIn = ({ rules }: ShownResource) => rules.filter((rule) => rule.table === table)
  const columns = [
    ...new Set(resources.flatMap(rulesIn).flatMap((rule) => rule.columns)),
  ].toSorted()
  const readers = (wanted: string | null) =>
    resources.filter((one) =>
      rulesIn(one).some((rule) => wanted === null || rule.columns.includes(wanted)),
    )
  const shown = readers(column)
  return (
    <>
      <p class="columns">
        <a
          class="chip"
          href={linkTo('resources', { table })}
          aria-current={column === null ? 'true' : undefined}
        >
          all columns
        </a>
        {columns.map((one) => (
          <a
            key={one}
            class="chip"
            href={linkTo('resources', { table, column: one })}
            aria-current={one === column ? 'true' : undefined}
          >
            {one}
          </a>
        ))}
      </p>
      <Diagram
        label={`Entries that become stale when ${column === null ? table : `${table}.${column}`} changes`}
        graph={{
          headings: ['Change', 'Stale entries'],
          columns: [
            [{ id: '=', title: table, lines: column === null ? wrap(columns) : [column] }],
            shown.map(({ name, key, ...rest }) => ({
              id: name,
              title: name,
              lines: [key, ...howOf(rulesIn({ name, key, ...rest }))],
              href: linkTo('resources', { name }),
            })),
          ],
          arrows: shown.map(({ name }) => ['=', name] as const),
        }}
      />
    </>
  )
}

function howOf(rules: readonly ExplainedRule[]): string[] {
  const from = [...new Set(rules.flatMap(({ lookedUpFrom }) => lookedUpFrom ?? []))]
  return from.length === 0 ? [] : [`looked up from ${from.join(', ')}`]
}
